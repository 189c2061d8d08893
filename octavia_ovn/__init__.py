"""An Octavia provider driver whose load balancers live in OVN's flows."""
