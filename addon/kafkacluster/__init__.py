"""The KafkaCluster add-on: a tenant's share of a multi-tenant Apache Kafka."""
