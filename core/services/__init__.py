"""What the path and the plugins stand on: the durable tables as services, policy, hooks, time."""
