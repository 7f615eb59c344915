"""Two pseudo-terminals joined like a null-modem cable. Prints both names, then carries bytes until it is ended."""

import os
import select
import tty

(master_a, slave_a), (master_b, slave_b) = os.openpty(), os.openpty()
for end in (slave_a, slave_b):
    tty.setraw(end)
print(os.ttyname(slave_a), os.ttyname(slave_b), flush=True)
other = {master_a: master_b, master_b: master_a}
while True:
    for end in select.select(list(other), [], [])[0]:
        os.write(other[end], os.read(end, 4096))
