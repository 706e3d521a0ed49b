"""The inference gateway, over the network with the customers' own clients."""
