"""A Modbus slave served by pymodbus (PyPI): a sewage station with known registers.

Without argument over Modbus/TCP, with "rtu-over-tcp" in RTU frames over TCP, with the name of a device in RTU frames
over that serial port (9600 baud, no parity). Prints its port, or the device. It says what it is (function 43/14). Registers of domain.md §7.1: function 4, 0-1 flow float32 ABCD, 2-3 total uint32 0.1 m3,
4 level int16 0.01 m, 5 dissolved oxygen, 6 pH, 7 temperature; function 2, 0-7 pumps and blowers, 8 mains.
Unit 1 has them all. Unit 2 has registers 0-3 only, so that reading further is an exception.
"""

import asyncio
import struct
import sys

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

FLOW = struct.unpack(">HH", struct.pack(">f", 12.5))
TOTAL = struct.unpack(">HH", struct.pack(">I", 1234567))
INPUTS = [*FLOW, *TOTAL, 150, 250, 712, (-125) & 0xFFFF] + [0] * 16
BITS = [True, False, False, True, True, False, False, False, True]


def blocks(inputs, bits):
    """Coils, discrete inputs, holding registers, input registers."""
    return (
        [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
        [SimData(0, values=bits, datatype=DataType.BITS)],
        [SimData(0, values=[0] * 4, datatype=DataType.REGISTERS)],
        [SimData(0, values=inputs, datatype=DataType.REGISTERS)],
    )


async def main():
    devices = [
        SimDevice(1, simdata=blocks(INPUTS, BITS + [False] * 7)),
        SimDevice(2, simdata=blocks(INPUTS[:4], BITS + [False] * 7)),
    ]
    identity = ModbusDeviceIdentification(
        info_name={"VendorName": "pymodbus", "ProductCode": "PM", "MajorMinorRevision": "3.16"}
    )
    way = sys.argv[1] if len(sys.argv) > 1 else "tcp"
    if way.startswith("/"):
        server = ModbusSerialServer(devices, identity=identity, port=way, baudrate=9600, ignore_missing_devices=True)
        await server.serve_forever(background=True)
        print(way, flush=True)
    else:
        framer = FramerType.RTU if way == "rtu-over-tcp" else FramerType.SOCKET
        server = ModbusTcpServer(devices, identity=identity, framer=framer, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        print(server.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
