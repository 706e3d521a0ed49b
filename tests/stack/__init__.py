"""The provider as real processes: journeys, histories with faults, kills, and a broker that goes away."""
