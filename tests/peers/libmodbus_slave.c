/* A Modbus slave served by libmodbus (Debian: libmodbus-dev), unit 1: registers 0 to 9 of function 3 hold 0, 100, … 900,
 * function 4 the float 12.5 (ABCD) at 0 and 7 at 2, coil 3 is on. Registers and coils can be written.
 *
 * "tcp" prints its port; any other argument is a serial port (9600 baud, no parity), whose name it prints. */

#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

static void answer(modbus_t *context, modbus_mapping_t *map) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int length = modbus_receive(context, query);
        if (length > 0) {
            modbus_reply(context, query, length, map);
        } else if (length < 0 && errno == ECONNRESET) {
            return; /* The master has gone. */
        }
    }
}

static int serve_tcp(modbus_mapping_t *map) {
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        return fail("listen");
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        if (modbus_tcp_accept(context, &listener) >= 0) {
            answer(context, map);
        }
        modbus_close(context);
    }
}

static int serve_rtu(const char *port, modbus_mapping_t *map) {
    modbus_t *context = modbus_new_rtu(port, 9600, 'N', 8, 1);
    if (context == NULL || modbus_set_slave(context, 1) || modbus_connect(context)) {
        return fail(port);
    }
    printf("%s\n", port);
    fflush(stdout);
    answer(context, map);
    return 0;
}

int main(int count, char **arguments) {
    modbus_mapping_t *map = modbus_mapping_new(10, 10, 10, 10);
    if (count != 2 || map == NULL) {
        fprintf(stderr, "usage: libmodbus_slave tcp|DEVICE\n");
        return 2;
    }
    for (int n = 0; n < 10; n++) {
        map->tab_registers[n] = (uint16_t)(100 * n);
    }
    map->tab_input_registers[0] = 0x4148; /* 12.5 is 0x41480000; modbus_set_float_abcd of 3.1.6 swaps bytes. */
    map->tab_input_registers[2] = 7;
    map->tab_bits[3] = 1;
    return strcmp(arguments[1], "tcp") == 0 ? serve_tcp(map) : serve_rtu(arguments[1], map);
}
