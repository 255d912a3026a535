/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The load client of the benchmark, the same for every HTTP server: TLS 1.3 with a client
 * certificate, keep-alive connections in one epoll loop, one request a connection at a time.
 *
 *   client [--header FILE] PORT DIR CONNECTIONS SECONDS RATE METHOD TARGET [BODY_FILE CONTENT_TYPE]
 *
 * What is in the FILE of --token is a bearer token, and sent with each request. A '#' in TARGET stands
 * for the number of the connection: each asks for something else then. DIR has ca.crt, operator.crt and
 * operator.key. RATE 0: as fast as it goes. Else so many requests a second, each due at its time:
 * latency counts from then, whether a connection was free or not, so that a server that stalls is not
 * measured less often for it. Prints one JSON object. Connecting, and the first answer on each
 * connection, are not counted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    HEAD_BYTES = 8192,
    HEADER_BYTES = 4096,
    READ_BYTES = 256 * 1024,
    LATENCIES_MAX = 4 * 1024 * 1024,
    WARM_TIMEOUT_S = 30,
};

struct connection {
    SSL *ssl;
    int fd;
    char *request;
    size_t request_len;
    bool busy;
    uint64_t due_ns; /* of the request under way */
    char head[HEAD_BYTES];
    size_t head_len;
    bool in_body;
    uint64_t left_bytes;
};

static struct {
    uint16_t port;
    const char *dir;
    char header[HEADER_BYTES]; /* "": none */
    unsigned connection_count;
    double seconds, rate;
    SSL_CTX *context;
    int epoll_fd;
    struct connection connections[CONNECTIONS_MAX];
    uint32_t *latencies_us;
    size_t latency_count;
    uint64_t bytes, answers, not_ok;
    const struct connection *told; /* the body of the first refusal is shown, too */
    char scratch[READ_BYTES];
} bench;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(bench.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die("connect");
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->ssl = SSL_new(bench.context);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1) {
        die("SSL_connect");
    }
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(bench.epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void send_request(struct connection *c, uint64_t due_ns)
{
    /* A request is far smaller than a socket's buffer: it goes at once, or something is wrong. */
    if (SSL_write(c->ssl, c->request, (int)c->request_len) != (int)c->request_len) {
        die("SSL_write");
    }
    c->busy = true;
    c->in_body = false;
    c->head_len = 0;
    c->due_ns = due_ns;
}

static void take_head(struct connection *c, const char *bytes, size_t len)
{
    char *end, *length;
    size_t taken =
        len < sizeof(c->head) - 1 - c->head_len ? len : sizeof(c->head) - 1 - c->head_len;

    memcpy(c->head + c->head_len, bytes, taken);
    c->head_len += taken;
    c->head[c->head_len] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        if (c->head_len == sizeof(c->head) - 1) {
            errno = EPROTO;
            die("head of a response");
        }
        return;
    }
    *end = '\0';
    length = strcasestr(c->head, "\r\nContent-Length:");
    if (length == NULL) {
        errno = EPROTO;
        die("no Content-Length");
    }
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) {
        if (bench.not_ok++ == 0) {
            fprintf(stderr, "client: %.200s\n", c->head);
            bench.told = c;
        }
    }
    c->in_body = true;
    c->left_bytes = strtoull(length + 17, NULL, 10) - (c->head_len - (size_t)(end + 4 - c->head)) -
                    (len - taken);
}

/* True when it has its whole answer. */
static bool read_answer(struct connection *c)
{
    for (;;) {
        int n = SSL_read(c->ssl, bench.scratch, sizeof(bench.scratch));

        if (n <= 0) {
            int error = SSL_get_error(c->ssl, n);

            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
                return false;
            }
            die("the connection ended");
        }
        bench.bytes += (uint64_t)n;
        if (!c->in_body) {
            take_head(c, bench.scratch, (size_t)n);
        } else {
            c->left_bytes -= (uint64_t)n;
            if (bench.told == c) {
                fprintf(stderr, "client: %.*s\n", n, bench.scratch);
                bench.told = NULL;
            }
        }
        if (c->in_body && c->left_bytes == 0) {
            c->busy = false;
            return true;
        }
    }
}

static void done(struct connection *c)
{
    uint64_t latency_us = (now_ns() - c->due_ns) / 1000;

    bench.answers++;
    if (bench.latency_count < LATENCIES_MAX) {
        bench.latencies_us[bench.latency_count++] =
            latency_us > UINT32_MAX ? UINT32_MAX : (uint32_t)latency_us;
    }
}

static void warm_up(void)
{
    for (unsigned i = 0; i < bench.connection_count; i++) {
        struct connection *c = &bench.connections[i];
        struct epoll_event event;

        open_connection(c);
        send_request(c, now_ns());
        while (c->busy) {
            if (epoll_wait(bench.epoll_fd, &event, 1, WARM_TIMEOUT_S * 1000) <= 0) {
                die("no answer");
            }
            (void)read_answer(event.data.ptr);
        }
    }
    bench.bytes = 0;
}

/* Requests that are due go to free connections, the longest due first. */
static void send_due(uint64_t start_ns, uint64_t *sent)
{
    uint64_t now = now_ns();

    for (unsigned i = 0; i < bench.connection_count; i++) {
        struct connection *c = &bench.connections[i];
        uint64_t due_ns = start_ns + (uint64_t)((double)*sent * 1e9 / bench.rate);

        if (due_ns > now) {
            return;
        }
        if (!c->busy) {
            send_request(c, due_ns);
            (*sent)++;
        }
    }
}

static double run(void)
{
    struct epoll_event events[CONNECTIONS_MAX];
    uint64_t start_ns = now_ns(), end_ns = start_ns + (uint64_t)(bench.seconds * 1e9);
    uint64_t sent = 0;
    bool closed_loop = bench.rate <= 0;

    if (closed_loop) {
        for (unsigned i = 0; i < bench.connection_count; i++) {
            send_request(&bench.connections[i], start_ns);
        }
    }
    for (;;) {
        unsigned busy = 0;
        bool over = now_ns() >= end_ns;
        struct timespec wait = { .tv_nsec = 1000 * 1000 };
        int n;

        if (!closed_loop && !over) {
            uint64_t due_ns = start_ns + (uint64_t)((double)sent * 1e9 / bench.rate),
                     now = now_ns();

            send_due(start_ns, &sent);
            wait.tv_nsec = due_ns > now && due_ns - now < 1000000 ? (long)(due_ns - now) : 200000;
        }
        for (unsigned i = 0; i < bench.connection_count; i++) {
            busy += bench.connections[i].busy;
        }
        if (over && busy == 0) {
            return (double)(now_ns() - start_ns) / 1e9;
        }
        n = epoll_pwait2(bench.epoll_fd, events, CONNECTIONS_MAX, &wait, NULL);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            if (c->busy && read_answer(c)) {
                done(c);
                if (closed_loop && now_ns() < end_ns) {
                    send_request(c, now_ns());
                }
            }
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static unsigned percentile(double p)
{
    size_t at = (size_t)((double)(bench.latency_count - 1) * p);

    return bench.latency_count > 0 ? bench.latencies_us[at] : 0;
}

static void make_request(struct connection *c, char **arguments, const char *body, size_t body_len)
{
    const char *target = arguments[1];
    size_t plain_len = strcspn(target, "#");
    char number[16] = "";

    if (target[plain_len] != '\0') {
        (void)snprintf(number, sizeof(number), "%u", (unsigned)(c - bench.connections));
    }
    c->request = malloc(2 * HEAD_BYTES);
    if (c->request == NULL) {
        die("malloc");
    }
    c->request_len = (size_t)snprintf(
        c->request, HEAD_BYTES, "%s %.*s%s%s HTTP/1.1\r\nHost: localhost\r\n", arguments[0],
        (int)plain_len, target, number, target + plain_len + (number[0] != '\0'));
    if (bench.header[0] != '\0') {
        c->request_len += (size_t)snprintf(c->request + c->request_len, HEAD_BYTES - c->request_len,
                                           "%s\r\n", bench.header);
    }
    if (body != NULL) {
        c->request_len +=
            (size_t)snprintf(c->request + c->request_len, HEAD_BYTES - c->request_len,
                             "Content-Type: %s\r\nContent-Length: %zu\r\n", arguments[3], body_len);
    }
    memcpy(c->request + c->request_len, "\r\n", 2);
    c->request_len += 2;
    if (body != NULL) {
        memcpy(c->request + c->request_len, body, body_len);
        c->request_len += body_len;
    }
}

static size_t read_file(const char *path, char *out, size_t room)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        die(path);
    }
    size_t len = fread(out, 1, room, file);

    (void)fclose(file);
    return len;
}

static void make_requests(char **arguments, int count)
{
    static char body[HEAD_BYTES];
    size_t body_len = count > 2 ? read_file(arguments[2], body, sizeof(body)) : 0;

    for (unsigned i = 0; i < bench.connection_count; i++) {
        make_request(&bench.connections[i], arguments, count > 2 ? body : NULL, body_len);
    }
}

static SSL_CTX *make_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char path[3][512];

    (void)snprintf(path[0], sizeof(path[0]), "%s/ca.crt", bench.dir);
    (void)snprintf(path[1], sizeof(path[1]), "%s/operator.crt", bench.dir);
    (void)snprintf(path[2], sizeof(path[2]), "%s/operator.key", bench.dir);
    if (context == NULL || SSL_CTX_load_verify_locations(context, path[0], NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, path[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, path[2], SSL_FILETYPE_PEM) != 1) {
        die("credentials");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

int main(int argc, char **argv)
{
    double seconds;

    if (argc > 2 && strcmp(argv[1], "--header") == 0) {
        (void)read_file(argv[2], bench.header, sizeof(bench.header) - 1);
        argv += 2;
        argc -= 2;
    }
    if (argc != 8 && argc != 10) {
        fprintf(stderr, "usage: client [--header FILE] PORT DIR CONNECTIONS SECONDS RATE METHOD "
                        "TARGET [BODY_FILE CONTENT_TYPE]\n");
        return 2;
    }
    bench.port = (uint16_t)atoi(argv[1]);
    bench.dir = argv[2];
    bench.connection_count = (unsigned)atoi(argv[3]);
    bench.seconds = atof(argv[4]);
    bench.rate = atof(argv[5]);
    if (bench.connection_count < 1 || bench.connection_count > CONNECTIONS_MAX) {
        fprintf(stderr, "client: 1 to %d connections\n", CONNECTIONS_MAX);
        return 2;
    }
    make_requests(argv + 6, argc - 6);
    bench.context = make_context();
    bench.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bench.latencies_us = malloc(LATENCIES_MAX * sizeof(*bench.latencies_us));
    if (bench.epoll_fd < 0 || bench.latencies_us == NULL) {
        die("start");
    }
    warm_up();
    puts("warm"); /* the measured part begins when the starter says so */
    (void)fflush(stdout);
    (void)getchar();
    seconds = run();
    qsort(bench.latencies_us, bench.latency_count, sizeof(*bench.latencies_us), compare);
    printf("{\"answers\": %llu, \"not_ok\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
           "\"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           (unsigned long long)bench.answers, (unsigned long long)bench.not_ok,
           (unsigned long long)bench.bytes, seconds, percentile(0.50), percentile(0.90),
           percentile(0.99), percentile(1.0));
    return bench.not_ok > 0;
}
