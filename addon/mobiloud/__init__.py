"""The MobiLoud add-on: a website becomes iOS and Android apps."""
