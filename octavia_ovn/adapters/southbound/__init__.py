"""OVN's Southbound database: health checks for the agent, logical flows for collectors."""
