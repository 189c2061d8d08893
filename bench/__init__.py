"""Compares this driver with `ovn-octavia-provider`: same servers, same requests, alternating."""
