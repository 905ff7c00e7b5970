"""The network of the VPN 3000 NAT-T note, rebuilt in network namespaces on one machine."""
