"""What real clients can and cannot do with the config vars they were given."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaConsumer, KafkaProducer

from addon.kafkacluster.cluster import Cluster
from tests.kafkacluster.conftest import Customer

pytestmark = pytest.mark.django_db
New = Callable[..., Customer]


def test_confluent_kafka_produces_and_consumes_with_the_config_vars(customer: New, cluster: Cluster) -> None:
    shop = customer()
    topic = shop.topic(cluster)
    assert shop.send(topic, b"an order") is None
    assert shop.receive(topic) == [b"an order"]
    assert cluster.groups(shop.tenant.prefix) == [f"{shop.tenant.prefix}readers"]


def test_kafka_python_produces_and_consumes_with_the_config_vars(customer: New, cluster: Cluster) -> None:
    shop = customer()
    topic = shop.topic(cluster)
    producer = KafkaProducer(**shop.pure_python())
    producer.send(topic, b"an order").get(timeout=10)
    producer.close()
    consumer = KafkaConsumer(
        topic,
        **shop.pure_python(
            group_id=f"{shop.tenant.prefix}readers", auto_offset_reset="earliest", consumer_timeout_ms=10_000
        ),
    )
    assert next(consumer).value == b"an order"
    consumer.close()


def test_another_tenant_s_topics_are_refused_whether_they_exist_or_not(
    customer: New, cluster: Cluster
) -> None:
    owner, stranger = customer(), customer()
    topic = owner.topic(cluster)
    assert owner.send(topic) is None
    for name in (topic, f"{owner.tenant.prefix}none"):
        assert stranger.send(name) == "TOPIC_AUTHORIZATION_FAILED"
        assert stranger.receive(name) == "TOPIC_AUTHORIZATION_FAILED"
    assert set(AdminClient(stranger.client()).list_topics(timeout=10).topics) == set()


def test_another_tenant_s_consumer_group_is_refused(customer: New, cluster: Cluster) -> None:
    owner, stranger = customer(), customer()
    topic = stranger.topic(cluster)
    assert stranger.receive(topic, group=f"{owner.tenant.prefix}readers") == "GROUP_AUTHORIZATION_FAILED"
    assert stranger.receive(topic, group="without-a-prefix") == "GROUP_AUTHORIZATION_FAILED"


def test_a_transaction_works_under_the_own_prefix_and_under_no_other(customer: New, cluster: Cluster) -> None:
    owner, stranger = customer(), customer()
    topic = owner.topic(cluster)
    producer = Producer(owner.client(**{"transactional.id": f"{owner.tenant.prefix}pay"}))
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"paid")
    producer.commit_transaction(20)
    thief = Producer(stranger.client(**{"transactional.id": f"{owner.tenant.prefix}pay"}))
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        thief.init_transactions(20)


def test_clients_make_delete_and_change_no_topics_not_even_their_own(customer: New, cluster: Cluster) -> None:
    shop = customer()
    topic = shop.topic(cluster)
    client = AdminClient(shop.client())
    (made,) = client.create_topics([NewTopic(f"{shop.tenant.prefix}mine", 1, 1)]).values()
    (gone,) = client.delete_topics([topic]).values()
    for answer in (made, gone):
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            answer.result(timeout=10)
    # Nor by sending to a name that is not there.
    typo = shop.send(f"{shop.tenant.prefix}typo", seconds=2)
    assert typo in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_MSG_TIMED_OUT")
    assert cluster.topics(shop.tenant.prefix) == [topic]
