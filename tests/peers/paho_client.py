"""paho-mqtt (PyPI) against the gate: what a device's or a platform's programmer would do with it.

paho_client.py VERSION TRANSPORT HOST PORT [CA]: VERSION 311 or 5; TRANSPORT tcp, tls, websockets or wss; CA is the
certificate that the gate is trusted by. Logs in as the device station-1 and as the service account watcher (passwords
`secret` and `watcher-secret`). Prints one line per scenario that passed; the first that fails ends it with exit code 1.
"""

import queue
import ssl
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE_S = 30
VERSION, TRANSPORT, HOST, PORT = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
CA = sys.argv[5] if len(sys.argv) > 5 else None
V5 = VERSION == "5"
TOPIC = "tw/v1/station-1/telemetry"
STATE = "tw/v1/station-1/state"


class Client:
    """A client whose callbacks fill queues."""

    def __init__(self, user, client_id, clean=True, expiry=0, will=None):
        protocol = mqtt.MQTTv5 if V5 else mqtt.MQTTv311
        arguments = {} if V5 else {"clean_session": clean}
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol,
            transport="websockets" if TRANSPORT in ("websockets", "wss") else "tcp", **arguments,
        )
        self.paho.username_pw_set(user, "watcher-secret" if user == "watcher" else "secret")
        if TRANSPORT in ("tls", "wss"):
            self.paho.tls_set(ca_certs=CA, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if TRANSPORT in ("websockets", "wss"):
            self.paho.ws_set_options(path="/mqtt")
        self.connected, self.messages, self.done, self.subscribed, self.gone = (queue.Queue() for _ in range(5))
        self.paho.on_connect = lambda c, u, flags, reason, p: self.connected.put((flags, reason, p))
        self.paho.on_message = lambda c, u, message: self.messages.put(message)
        self.paho.on_publish = lambda c, u, mid, reason, p: self.done.put((mid, reason))
        self.paho.on_subscribe = lambda c, u, mid, reasons, p: self.subscribed.put(reasons)
        self.paho.on_disconnect = lambda c, u, flags, reason, p: self.gone.put(reason)
        if will:
            self.paho.will_set(*will)
        more = {}
        if V5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            more = {"clean_start": clean, "properties": properties}
        self.paho.connect(HOST, PORT, keepalive=30, **more)
        self.paho.loop_start()
        self.flags, self.reason, self.properties = self.connected.get(timeout=PATIENCE_S)
        check(not self.reason.is_failure, f"CONNACK {self.reason}")

    def subscribe(self, topic, qos, **options):
        if V5 and options:
            self.paho.subscribe(topic, options=SubscribeOptions(qos=qos, **options))
        else:
            self.paho.subscribe(topic, qos)
        return self.subscribed.get(timeout=PATIENCE_S)

    def publish(self, topic, payload, qos, retain=False, properties=None):
        info = self.paho.publish(topic, payload, qos, retain, **({"properties": properties} if V5 else {}))
        info.wait_for_publish(PATIENCE_S)
        check(info.is_published(), f"QoS {qos} on {topic} was not acknowledged")
        return self.done.get(timeout=PATIENCE_S)[1]

    def next(self):
        return self.messages.get(timeout=PATIENCE_S)

    def close(self):
        self.paho.disconnect()
        self.gone.get(timeout=PATIENCE_S)
        self.paho.loop_stop()

    def drop(self):
        """Ends the socket without a DISCONNECT."""
        self.paho.loop_stop()
        self.paho._sock_close()


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def reading(level):
    return b'{"ts":%d,"values":{"level":%s}}' % (int(time.time() * 1000), str(level).encode())


def each_qos_arrives_at_the_lower_of_both():
    watcher = Client("watcher", "watcher")
    for granted in (0, 1, 2):
        check(watcher.subscribe(TOPIC, granted)[0].value == granted, f"QoS {granted} is granted")
        device = Client("station-1", "station-1")
        for qos in (0, 1, 2):
            payload = reading(1 + qos / 4 + granted)
            device.publish(TOPIC, payload, qos)
            message = watcher.next()
            check(message.payload == payload, f"{message.payload} instead of {payload}")
            check(message.qos == min(qos, granted), f"QoS {message.qos} for {qos} published and {granted} granted")
            check(not message.retain, "a live message is not marked as retained")
        device.close()
    watcher.close()


def a_retained_state_is_there_for_who_comes_later_and_goes_with_an_empty_one():
    device = Client("station-1", "station-1")
    device.publish(STATE, b"online", 1, retain=True)
    watcher = Client("watcher", "watcher")
    watcher.subscribe(STATE, 1)
    message = watcher.next()
    check(message.payload == b"online" and message.retain, f"{message.payload} {message.retain}")
    device.publish(STATE, b"", 1, retain=True)
    watcher.next()
    watcher.close()
    late = Client("watcher", "watcher")
    late.subscribe(STATE, 1)
    device.publish(STATE, b"live", 1)
    message = late.next()
    check(message.payload == b"live" and not message.retain, "nothing is retained any more")
    late.close()
    device.close()


def a_will_is_published_when_the_socket_breaks_and_not_on_goodbye():
    watcher = Client("watcher", "watcher")
    watcher.subscribe(STATE, 1)
    device = Client("station-1", "station-1", will=(STATE, b"offline", 1, False))
    device.close()
    device = Client("station-1", "station-1", will=(STATE, b"broken", 1, False))
    device.drop()
    message = watcher.next()
    check(message.payload == b"broken", f"{message.payload}: the will of the broken connection only")
    watcher.close()


def a_lasting_session_gets_what_came_while_it_was_away():
    watcher = Client("watcher", "watcher", clean=True)
    watcher.close()
    watcher = Client("watcher", "watcher", clean=False, expiry=3600)
    check(not watcher.flags.session_present, "the session begins anew")
    watcher.subscribe(TOPIC, 2)
    watcher.close()
    device = Client("station-1", "station-1")
    sent = [(qos, reading(10 + number)) for number, qos in enumerate([1, 2, 1, 2, 2, 1])]
    for qos, payload in sent:
        device.publish(TOPIC, payload, qos)
    device.close()
    watcher = Client("watcher", "watcher", clean=False, expiry=3600)
    check(watcher.flags.session_present, "the session is present")
    got = [(message.qos, message.payload) for message in (watcher.next() for _ in sent)]
    for wanted in (1, 2):
        # In the order of each quality of service: paho shows a message of QoS 2 only when it is released.
        of = lambda messages: [payload for qos, payload in messages if qos == wanted]
        check(of(got) == of(sent), f"{of(got)} instead of {of(sent)}")
    watcher.close()
    Client("watcher", "watcher", clean=True).close()


def a_device_may_not_speak_for_another():
    device = Client("station-1", "station-1")
    if V5:
        reason = device.publish("tw/v1/station-2/telemetry", reading(1), 1)
        check(reason.value == 0x87, f"{reason}")
        check(device.subscribe("tw/v1/station-2/#", 1)[0].value == 0x87, "not authorized")
        device.close()
    else:
        check(device.subscribe("tw/v1/station-2/#", 1)[0].is_failure, "0x80")
        device.paho.publish("tw/v1/station-2/telemetry", reading(1), 1)
        device.gone.get(timeout=PATIENCE_S)
        device.paho.loop_stop()


def properties_reach_the_subscriber_as_they_were_sent():
    watcher = Client("watcher", "watcher")
    properties = Properties(PacketTypes.SUBSCRIBE)
    properties.SubscriptionIdentifier = 77
    watcher.paho.subscribe(TOPIC, options=SubscribeOptions(qos=1), properties=properties)
    watcher.subscribed.get(timeout=PATIENCE_S)
    device = Client("station-1", "station-1")
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("unit", "m"), ("unit", "again")]
    properties.ContentType = "application/json"
    properties.ResponseTopic = "tw/v1/station-1/cmd"
    properties.CorrelationData = b"\x00\x01\xff"
    properties.MessageExpiryInterval = 60
    properties.PayloadFormatIndicator = 1
    device.publish(TOPIC, reading(3), 1, properties=properties)
    got = watcher.next().properties
    check(got.UserProperty == [("unit", "m"), ("unit", "again")], f"{got}")
    check(got.ContentType == "application/json" and got.CorrelationData == b"\x00\x01\xff", f"{got}")
    check(got.ResponseTopic == "tw/v1/station-1/cmd" and got.PayloadFormatIndicator == 1, f"{got}")
    check(got.SubscriptionIdentifier == [77] and 55 <= got.MessageExpiryInterval <= 60, f"{got}")
    device.close()
    watcher.close()


def members_of_a_shared_subscription_get_each_message_once():
    members = [Client("watcher", f"watcher-{name}") for name in "ab"]
    for member in members:
        member.subscribe(f"$share/team/{TOPIC}", 1)
    device = Client("station-1", "station-1")
    sent = [reading(100 + number) for number in range(20)]
    for payload in sent:
        device.publish(TOPIC, payload, 1)
    got = []
    deadline = time.monotonic() + PATIENCE_S
    while len(got) < len(sent) and time.monotonic() < deadline:
        for member in members:
            try:
                got.append(member.messages.get(timeout=0.05).payload)
            except queue.Empty:
                pass
    check(sorted(got) == sorted(sent), f"{len(got)} deliveries of {len(sent)} messages")
    for client in [device, *members]:
        client.close()


SCENARIOS = [
    each_qos_arrives_at_the_lower_of_both,
    a_retained_state_is_there_for_who_comes_later_and_goes_with_an_empty_one,
    a_will_is_published_when_the_socket_breaks_and_not_on_goodbye,
    a_lasting_session_gets_what_came_while_it_was_away,
    a_device_may_not_speak_for_another,
]
if V5:
    SCENARIOS += [properties_reach_the_subscriber_as_they_were_sent, members_of_a_shared_subscription_get_each_message_once]

for scenario in SCENARIOS:
    try:
        scenario()
    except (AssertionError, queue.Empty, OSError, ValueError, AttributeError) as error:
        sys.exit(f"{VERSION} over {TRANSPORT}: {scenario.__name__}: {type(error).__name__}: {error}")
    print("passed:", scenario.__name__, flush=True)
