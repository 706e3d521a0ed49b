"""Money: what each resource brings, to the cent."""
