"""Inputs to begin with: what is right, so that it is what is wrong with it that is tried."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["SEEDS"]

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "tests" / "wire"
_MOST = 12


def _frame(recorded: str | dict[str, str]) -> bytes:
    return recorded.encode() if isinstance(recorded, str) else bytes.fromhex(recorded["hex"])


def _recorded(field: str) -> list[bytes]:
    """Return recorded messages of the reference daemon as inputs, the longest left out."""
    found = []
    for exchange in json.loads((WIRE / "reference-daemon.json").read_text()):
        value = exchange.get(field) or []
        messages = value if value and isinstance(value[0], list) else [value]
        found += [b"\x1e".join(map(_frame, message)) for message in messages if message]
    return sorted({one for one in found if len(one) < 1500}, key=len)[-_MOST:]


BLOCK = {
    "store": "cryo", "alias": "hw", "uuid": "141a280c-2d6a", "time": 1795469673.6, "hash": 2**100,
    "items": {
        "temp": {"type": "numeric", "units": {"": "K", "formatted": "degC"}, "format": "%.3f",
                 "range": [0, 325], "limits": {"warning": [70, 90], "hysteresis": 1}},
        "state": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}, "initial": 1},
        "bits": {"type": "mask", "enumerators": {"None": "OK", "0": "Hot", "3": "Cold"}},
        "image": {"type": "bulk", "settable": False}, "ra": {"type": "numeric", "units": {
            "": "rad", "formatted": "hours"}, "format": "%02d:%02d:%04.1f", "persist": True},
    },
    "provenance": [{"stratum": 0, "hostname": "127.0.0.1", "rep": 9, "pub": 9}],
}  # fmt: skip

_VALUES = (
    {"is": {"type": "numeric", "format": "%.3f", "range": [0, 9]}, "value": 4.5, "text": " 1e2 "},
    {"is": {"type": "numeric array", "format": "%d"}, "value": [[1, 2], [3]], "text": "[1, 2]"},
    {"is": {"type": "numeric", "units": {"": "rad", "formatted": "deg"},
            "format": "%d:%02d:%04.1f"}, "value": -0.1, "text": "-00:30:01.5"},
    {"is": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}}, "value": "on",
     "text": "OFF"},
    {"is": {"type": "mask", "enumerators": {"None": "OK", "0": "A, b", "9": "C"}}, "value": 513,
     "text": "A, b, bit 7"},
    {"is": {"type": "boolean"}, "value": 1, "text": "true"},
    {"is": {"type": "string"}, "value": "x", "text": "y"},
    {"is": {"type": "bulk"}, "value": [1], "text": ""},
    {"is": {}, "value": {"a": [1, None, {"b": 2**70}]}, "text": "z"},
    {"is": {"type": "numeric", "units": {"": "K", "formatted": "degC"}, "format": "%08.2e"},
     "value": 1e308, "text": "12.5"},
)  # fmt: skip

_LINES = (
    b"+77.350,+4.2000,+0.0000,1,2,3", b"0,4,1,0", b'-113,"Undefined header"', b"+9.91E+37,1.0E-3",
    b"CH1:30V/3A,5.00,1.0000", b"1.2,3.4,5.6", b"03 REMOTE START", b"-05 VALUE TOO SMALL",
    b"1:?POS 12345", b"1:?STATUS 0x00204403", b"?ID $", b"#1:MOVE OK", b"ERROR Axis not found",
    b"@01 1 05 OK IDLE WR 1234:5A", b"!01 1 IDLE --", b"#01 0 text", b"0011034906100023031",
    b"0,1.2345E-03,5,0.0000E+00", b"TPR/PCR,PTR,noSEn", b"TPG366,PTG28770,44998999,010300,010100",
    b"0R1,Dn=236D,Dm=283D,Dx=031D,Sn=0.0M,Sm=1.0M,Sx=2.2M", b"0R2,Ta=23.6C,Ua=14.2P,Pa=1026.6H",
    b"0XU,A=0,M=P,T=0,C=2,I=15,B=19200,D=8,P=N,S=1,L=25,N=WXT530", b"0R5,Th=25.9C,Vh=12.0N,Id=#",
    b"111111", b"100023", b"000042", b"MBit", b"nan", b"DC", b"ON", b"VOLT +1.0,+1.0E-6",
)  # fmt: skip

_LOOP = bytes.fromhex("14 00 ff ff 3b 75 f9 02 25 4a 02 07 06 59 01".replace(" ", "")) + bytes(
    range(75)
)

_STREAMS = {
    "terminated": (b"\0\0+77.350\r\n\x06A\r\n", b"\0\5" + b"x" * 70),
    "enclosed": (b"\0\1?POS 1\r\n?HELP $\nline\r\nline\n$\n", b"\0\0?A $\n" + b"ab\n" * 90),
    "davis": (b"\0\1\n\rOK\n\rApr 24 2002\n\r", b"\1\0\n\rTEST\n\r", b"\4\3\x06\x10", b"\0\0\x21"),
    "davis-packets": (b"\0\1\x06" + b"LOO" + _LOOP + b"LOO",),
    "mbap": (b"\0\2\0\7\0\0\0\7\1\3\4\1\2\3\4", b"\0\2\0\6\0\0\0\3\1\x83\2\0\7\0\0\0\3\1\x83\x0b"),
    "rtu": (b"\0\2\1\3\4\1\2\3\4\x8b\x0e", b"\0\2\1\x83\2\xc0\xf1", b"\3\1\1\x43\1\0\0\0"),
    "telegrams": (b"\0\1" + b"0010034906000042015\r", b"\1\2" + b"1221074006100023018\r"),
    "wxt": (b"\0\1" + b"0R1,Dn=236D,Sm=0.1M\r\n0R2,Ta=1C\r\n", b"\2\1" + b"0\r\n"),
    "zaber": (b"\0\1" + b"@01 0 05 OK IDLE -- 1234\r\n!01 1 IDLE --\r\n@01 0 06 OK BUSY -- 1\r\n",),
}

_HOST = (
    b"KRDG? A\r\n*IDN?\r\nSETP 1,77\r\n", b"?VER\r\n#1:MOVE 500\n", b"/01 0 05 get pos\n",
    b"0010034902=?111\r", b"VER\nLOOP 2\nEEBRD 0B 06\n", b"0R1\r\n0XU\r\n?\r\n0XZ\r\n",
    b"MEAS:VOLT:DC?\nSYST:ERR?\nREAD?\n", b":APPL CH1,5,1\n:MEAS:ALL? CH1\n",
    b"in_pv_00\rout_sp_00 5\r", b"PR1\r\n\x05",
    b"\0\1\0\0\0\6\1\3\0\0\0\2", b"\1\3\0\0\0\2\xc4\x0b",
)  # fmt: skip

SEEDS: dict[str, list[bytes]] = {
    "request": _recorded("request"),
    "response": [
        *_recorded("responses"),
        b'a\x1e1\x1eREP\x1e\x1e\x1e{"error":{"type":"ValueError","text":"no","class":"BadUnits"}}',
        b'a\x1e1\x1eREP\x1e\x1e\x1e{"error":{"type":"StopIteration","text":""}}',
        b'a\x1e1\x1eREP\x1e\x1e\x1e{"shape":[2,2],"dtype":"uint16","time":1}\x1e12345678',
    ],
    "broadcast": [
        *_recorded("broadcasts"),
        b'cryo.temp.\x1ea\x1e{"value":1,"time":2.5,"quality":"alarm","reason":"hot","checked":3}',
        b'cryo.i.\x1ea\x1e{"shape":[3],"dtype":"float64","order":">"}\x1e' + bytes(24),
    ],
    "block": [json.dumps(BLOCK).encode(),
              b'{"store":"a","alias":"b","uuid":"c","hash":1,"items":{}}'],
    "datagram": [b"Aloha mKTL", b"E komo mai:10079"],
    "name": [b"cryo.temp", b"CRYO.Temp:a+b-c_d"],
    "address": [b"moon:10079", b"tcp://[::1]:10079", b"moon"],
    "value": [json.dumps(one).encode() for one in _VALUES],
    "units": [b"K\ndegC", b"rad\nhours", b"mbar\nPa", b"m/s\nkm/h", b"l/min\nm**3/s",
              b"arcsec\ndeg"],
    "reply": list(_LINES),
    "packet": [_LOOP],
    "modbus": [b"\x01\x03\x04\1\2\3\4", b"\x00\x06\0\1\0\2"],
    "twin": [bytes((index, 3)) + host for index in range(12) for host in _HOST[index:][:2]],
    "instrument-file": [
        *((ROOT / "examples" / name).read_bytes()[:2048] for name in
          ("cryostat.toml", "water_plant.toml", "chiller.toml", "motors.toml")),
        (ROOT / "tests" / "system" / "unheard" / "a.toml").read_bytes()[:2048],
    ],
    "pattern": [b"{status:d},{value:g}\n0, +1.5E-3", b"SP {value:.2f}\n1",
                b"{a:3d}{b:s};{c:w}x\n123a;b x",
                b"{unit:02d} {v:x}\n01 0xFF", b"{{{v:e}}}\n{nan}"],
    "regex": [rb"(\w+ ?)*" b"\n" + b"a" * 40, b"(a|b)*c\nababab", rb"[0-9]+(\.\d+)?" b"\n1.5",
              b"(?i:ok)|x{2,40}\nOK", rb"(?>a+)b\1?(?=c)" b"\naab"],
    **{f"framing-{name}": list(streams) for name, streams in _STREAMS.items()},
    **{f"twin-framer-{name}": [b"\1" + host for host in _HOST]
       for name in ("lines", "any-end", "console", "text", "mbap", "rtu")},
}  # fmt: skip
