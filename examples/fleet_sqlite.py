#!/usr/bin/python3
"""Stores the events of a fleet of mercam kiosks from an MQTT broker in an SQLite database, each exactly once.

    apt-get install mosquitto python3-paho-mqtt
    fleet_sqlite.py fleet.db [--host HOST] [--port PORT] [--topic mercam] [--username NAME --password-file FILE] [--ca FILE]

The broker keeps a session for this client, so what is published while it is away comes afterwards. An event is
acknowledged when it is in the database; one that comes twice is known by device, run and number and is passed over.
"""
import argparse
import json
import sqlite3

import paho.mqtt.client as mqtt

TABLES = """
CREATE TABLE IF NOT EXISTS event (
    device TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    unix_us INTEGER,  -- of a detection its apex; NULL when the source was not live
    class TEXT, amplitude REAL, quality REAL,
    json TEXT NOT NULL,
    PRIMARY KEY (device, run, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_time ON event (kind, unix_us);
CREATE TABLE IF NOT EXISTS device (name TEXT PRIMARY KEY, online INTEGER NOT NULL);
"""


def store(db, topic, payload):
    """Stores one message. Returns whether it was new."""
    device, kind = topic.split("/")[-2:]
    if kind == "availability":
        db.execute("INSERT OR REPLACE INTO device VALUES (?, ?)", (device, payload == b"online"))
        return True
    event = json.loads(payload)
    at = event.get("apex") or event.get("at") or {}
    row = (event["device"], event["run"], event["seq"], event["kind"], at.get("unix_us"), event.get("class"),
           event.get("amplitude"), event.get("quality"), payload.decode())
    return db.execute("INSERT OR IGNORE INTO event VALUES (?,?,?,?,?,?,?,?,?)", row).rowcount == 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--topic", default="mercam")
    parser.add_argument("--client-id", default="mercam-fleet")
    parser.add_argument("--username")
    parser.add_argument("--password-file")
    parser.add_argument("--ca")
    args = parser.parse_args()
    db = sqlite3.connect(args.database)
    db.executescript("PRAGMA journal_mode = WAL;" + TABLES)

    def on_connect(client, *_):
        client.subscribe(args.topic + "/#", qos=1)

    def on_message(_client, _userdata, message):
        try:
            new = store(db, message.topic, message.payload)
        except (ValueError, KeyError) as e:
            print(f"not an event, passed over: {message.topic}: {e!r}", flush=True)
            return
        db.commit()  # the acknowledgement goes out when this function has come back
        if not new:
            print(f"came twice: {message.topic}", flush=True)

    options = {"client_id": args.client_id, "clean_session": False}
    if hasattr(mqtt, "CallbackAPIVersion"):  # paho-mqtt 2
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **options)
    else:
        client = mqtt.Client(**options)
    if args.username:
        with open(args.password_file, encoding="utf-8") as f:
            client.username_pw_set(args.username, f.readline().rstrip("\r\n"))
    if args.ca:
        client.tls_set(ca_certs=args.ca)
    client.on_connect, client.on_message = on_connect, on_message
    client.connect(args.host, args.port)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()
