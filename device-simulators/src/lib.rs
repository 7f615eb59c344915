//! The county that does not exist: devices, signals, faults and scenarios, speaking only through sockets.
