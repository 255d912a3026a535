/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Peers' addresses as text, above all those for which a name server or the kernel could be asked, and is not. */
#include "server/http/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tests/lib/unit.h"

static const char *v6(const char *host, uint32_t scope, uint16_t port)
{
    static char text[SOCKET_PEER_BYTES];
    struct sockaddr_in6 address = { .sin6_family = AF_INET6,
                                    .sin6_port = htons(port),
                                    .sin6_scope_id = scope };

    assert_int_equal(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    socket_peer_text((const struct sockaddr *)&address, text);
    return text;
}

static void addresses_are_numbers(void **state)
{
    const struct sockaddr_in v4 = { .sin_family = AF_INET,
                                    .sin_port = htons(65535),
                                    .sin_addr = { htonl(0xc0000201) } };
    const struct sockaddr_un local = { .sun_family = AF_UNIX };
    char text[SOCKET_PEER_BYTES];

    (void)state;
    socket_peer_text((const struct sockaddr *)&v4, text);
    assert_string_equal(text, "192.0.2.1:65535");
    assert_string_equal(v6("2001:db8::1", 0, 80), "[2001:db8::1]:80");
    socket_peer_text((const struct sockaddr *)&local, text);
    assert_string_equal(text, "unix");
}

/* 1 is an interface of every machine, whose name is not looked up: in the sandbox that would be the end. */
static void a_link_local_peer_has_its_interfaces_number(void **state)
{
    (void)state;
    assert_string_equal(v6("fe80::1", 1, 8443), "[fe80::1%1]:8443");
}

static void the_longest_fits(void **state)
{
    (void)state;
    assert_string_equal(v6("2001:db8:1111:2222:3333:4444:5555:6666", UINT32_MAX, 65535),
                        "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_numbers),
        cmocka_unit_test(a_link_local_peer_has_its_interfaces_number),
        cmocka_unit_test(the_longest_fits),
    };
    return UNIT_RUN(tests);
}
