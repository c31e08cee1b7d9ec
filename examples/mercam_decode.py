#!/usr/bin/env python3
"""Reads mercam's wire format, version 2, with nothing but the standard library.

    python3 mercam_decode.py text events.txt        # JSON lines with a CRC
    python3 mercam_decode.py binary events.bin      # binary frames: events and records
    stty -F /dev/ttyUSB0 raw 115200 && python3 mercam_decode.py binary /dev/ttyUSB0

Prints one JSON object per event. The format: docs/reference/wire.md. Acknowledging is left to `mercam host`."""
import json, struct, sys, zlib

COMPONENTS = "right_brow left_brow nose right_eye left_eye mouth".split()
REASONS = "blink macro too_short talking head_motion lighting occlusion lost_track rate_too_low gap model".split()
KINDS = "provisional confirmed withdrawn face_appeared face_left status".split()

class Postcard:
    """The pieces of postcard that the format uses: varints, zigzag, f32, strings, lists, optional values."""
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, n):
        self.at += n
        if self.at > len(self.data): raise ValueError("too short")
        return self.data[self.at - n:self.at]
    def u8(self): return self.take(1)[0]
    def bool(self): return bool(self.u8())
    def uint(self):
        value = shift = 0
        while (byte := self.u8()) & 0x80: value, shift = value | (byte & 0x7F) << shift, shift + 7
        return value | byte << shift
    def int(self): n = self.uint(); return n >> 1 ^ -(n & 1)
    def f32(self): return struct.unpack("<f", self.take(4))[0]
    def text(self): return self.take(self.uint()).decode()
    def component(self): return COMPONENTS[self.u8()]
    def reason(self): return REASONS[self.u8()]
    def list(self, *item): return [[read(self) for read in item] for _ in range(self.uint())]
    def map(self, key): return dict(self.list(key, Postcard.uint))
    def optional(self, into, key, read):
        if self.u8(): into[key] = read(self)
    def moment(self): m = {"us": self.int()}; self.optional(m, "unix_us", Postcard.int); return m
    def rect(self): return dict(zip(("x", "y", "width", "height"), (self.f32() for _ in range(4))))
    def model(self): return {"id": self.text(), "precision": self.text(), "sha256": self.text()}
    def detection(self):
        d = {"id": self.uint(), "face": self.uint(), "onset": self.moment(), "apex": self.moment()}
        self.optional(d, "offset", Postcard.moment)
        d |= {"class": self.text(), "probabilities": dict(self.list(Postcard.text, Postcard.f32))}
        d |= {"actions": dict(self.list(Postcard.component, Postcard.f32))}
        relations = self.list(Postcard.component, Postcard.component, Postcard.f32)
        d |= {"relations": [dict(zip(("from", "to", "weight"), r)) for r in relations]}
        d |= {"amplitude": self.f32(), "component": self.component()}
        d |= {key: self.f32() for key in ("score", "rate", "quality", "iod")}
        self.optional(d, "reason", Postcard.reason)
        return d | {"model": self.model()}
    def event(self):
        e = {"v": 2, "device": self.text(), "run": self.take(8)[::-1].hex(), "seq": self.uint()}
        e["kind"] = KINDS[self.uint()]
        if e["kind"] == "status":
            e |= {"frames": self.uint(), "lost": self.uint(), "rate": self.f32(), "faces": self.uint()}
            e |= {"rejected": self.map(Postcard.reason), "dropped": self.map(Postcard.text), "waiting": self.map(Postcard.text)}
            for key, read in [("temperature_c", Postcard.f32), ("throttled", Postcard.bool),
                              ("under_voltage", Postcard.bool), ("model", Postcard.model)]: self.optional(e, key, read)
        elif e["kind"].startswith("face_"):
            e |= {"face": self.uint(), "at": self.moment()}
            if e["kind"] == "face_appeared": e["bounds"] = self.rect(); self.optional(e, "relative", Postcard.rect)
        else: e |= self.detection()
        return e

def unstuff(frame):
    """COBS: each code byte says how many bytes come until the next zero."""
    out, at = bytearray(), 0
    while at < len(frame):
        code, block = frame[at], frame[at + 1:at + frame[at]]
        if len(block) != code - 1: raise ValueError("broken byte stuffing")
        out, at = out + block, at + code
        if code < 255 and at < len(frame): out.append(0)
    return bytes(out)

def decode_binary(frame):
    raw = unstuff(frame)
    if len(raw) < 6 or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"): raise ValueError("damaged")
    reader = Postcard(raw[1:-4])
    kind = reader.u8() if raw[0] == 2 else None
    if kind == 1:  # a record: stream, number, the number before it, then an event with its own version
        stream, _number, _before = reader.take(8), reader.uint(), reader.uint() if reader.u8() else None
        if reader.u8() != 2: return None
    elif kind != 0: return None  # another version, or an acknowledgement
    return reader.event()

def decode_text(line):
    text, _, check = line.strip().rpartition(b" *")
    if len(check) != 8 or zlib.crc32(text) != int(check, 16): raise ValueError("damaged")
    return json.loads(text)

def events(stream, form):
    """The events of a binary stream; what is damaged is passed over."""
    end, decode, held = (b"\n", decode_text, b"") if form == "text" else (b"\0", decode_binary, b"")
    while piece := stream.read(512):
        *frames, held = (held[-8192:] + piece).split(end)
        for frame in frames:
            try:
                if frame.strip(b"\r") and (event := decode(frame)): yield event
            except (ValueError, IndexError, UnicodeDecodeError): pass

if __name__ == "__main__":
    for event in events(open(sys.argv[2], "rb", buffering=0), sys.argv[1]):
        print(json.dumps(event), flush=True)
