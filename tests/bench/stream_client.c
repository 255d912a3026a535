/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The receiving end of the stream benchmark, the same for every server: any number of server
 * streams, each on a TLS 1.3 connection of its own, in one epoll loop.
 *
 *   stream_client PORT DIR ACTIVE ACTIVE_BODY IDLE IDLE_BODY IDLE_KINDS [trace]
 *
 * DIR has ca.crt, operator.crt and operator.key. *_BODY: files with a WatchRequest each; in that of
 * the idle ones the first "0000" becomes the number of the stream, modulo IDLE_KINDS. When each
 * stream has its first message of content, "warm" is printed; each line of input (SECONDS) then
 * asks for a measurement: what came on the active streams in that time, and how long after it was
 * published, as one JSON object.
 *
 * `trace`: the bodies are ReadTraceRequests; bytes are those of the trace, and gaps those that are lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xenres/v1/resource.pb-c.h"
#include "xenres/v1/trace.pb-c.h"

enum {
    STREAMS_MAX = 8192,
    BODY_MAX = 1024,
    READ_BYTES = 64 * 1024,
    MESSAGE_MAX = 2 << 20,
    LATENCIES_MAX = 8 * 1024 * 1024,
    WARM_TIMEOUT_S = 120,
    ENVELOPE_BYTES = 5,
    LOOKS_MAX = 8, /* at 256 streams each, between two that are opened */
};

/* The body of a reply is read byte by byte as far as its framing goes, and by pieces in chunks. */
enum framing { IN_HEAD, IN_SIZE, IN_CHUNK, IN_CHUNK_END };

struct stream {
    SSL *ssl;
    int fd;
    bool active, warm;
    enum framing framing;
    unsigned matched; /* of "\r\n\r\n" */
    size_t chunk_left;
    uint8_t *message; /* an envelope, as far as it has come */
    size_t message_len, message_room;
};

static struct {
    uint16_t port;
    const char *dir;
    SSL_CTX *context;
    int epoll_fd;
    struct stream *streams;
    unsigned stream_count, warm_count;
    uint32_t *latencies_ns100;
    size_t latency_count;
    uint64_t messages, bytes, blocks, gaps;
    bool measuring, is_trace;
} bench;

static void die(const char *what)
{
    fprintf(stderr, "stream_client: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* --- messages ------------------------------------------------------------------------------------- */

static void count_changes(const Xenres__V1__WatchChanges *c, size_t len_bytes)
{
    uint64_t published_ns = c->sampled->monotonic_ns + c->sampled->copy_duration_ns;
    uint64_t late_ns = now_ns() - published_ns;

    bench.messages++;
    bench.bytes += len_bytes;
    bench.blocks += c->n_blocks;
    if (bench.latency_count < LATENCIES_MAX) {
        bench.latencies_ns100[bench.latency_count++] = (uint32_t)(late_ns / 100);
    }
}

static void take_trace_message(struct stream *s, const uint8_t *bytes, size_t len_bytes)
{
    Xenres__V1__ReadTraceResponse *m =
        xenres__v1__read_trace_response__unpack(NULL, len_bytes, bytes);

    if (m == NULL) {
        errno = EPROTO;
        die("a message");
    }
    if (m->content_case == XENRES__V1__READ_TRACE_RESPONSE__CONTENT_END) {
        fprintf(stderr, "stream_client: a stream ended: %s\n", m->end->message);
        exit(1);
    }
    if (!s->warm) {
        s->warm = true;
        bench.warm_count++;
    }
    if (bench.measuring && m->content_case == XENRES__V1__READ_TRACE_RESPONSE__CONTENT_DATA) {
        bench.messages++;
        bench.bytes += m->data->data.len;
    } else if (bench.measuring && m->content_case == XENRES__V1__READ_TRACE_RESPONSE__CONTENT_GAP) {
        bench.gaps += m->gap->length + (m->gap->at_least ? 1 : 0);
    }
    xenres__v1__read_trace_response__free_unpacked(m, NULL);
}

static void take_message(struct stream *s, const uint8_t *bytes, size_t len_bytes)
{
    Xenres__V1__WatchResponse *m = xenres__v1__watch_response__unpack(NULL, len_bytes, bytes);

    if (m == NULL) {
        errno = EPROTO;
        die("a message");
    }
    bool is_changes = m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_CHANGES;

    if (m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_END) {
        fprintf(stderr, "stream_client: a stream ended: %s\n", m->end->message);
        exit(1);
    }
    bench.gaps += m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_GAP;
    if (!s->warm &&
        (is_changes || m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_CHECKPOINT)) {
        s->warm = true;
        bench.warm_count++;
    }
    if (bench.measuring && s->active && is_changes && m->changes->sampled != NULL) {
        count_changes(m->changes, len_bytes);
    }
    xenres__v1__watch_response__free_unpacked(m, NULL);
}

static void take_envelopes(struct stream *s)
{
    size_t at = 0;

    while (s->message_len - at >= ENVELOPE_BYTES) {
        const uint8_t *head = s->message + at;
        size_t len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];

        if (s->message_len - at - ENVELOPE_BYTES < len) {
            break;
        }
        if (head[0] != 0) {
            fprintf(stderr, "stream_client: the stream's end: %.*s\n", (int)len, head + 5);
            exit(1);
        }
        (bench.is_trace ? take_trace_message : take_message)(s, head + ENVELOPE_BYTES, len);
        at += ENVELOPE_BYTES + len;
    }
    memmove(s->message, s->message + at, s->message_len - at);
    s->message_len -= at;
    if (s->message_len == 0 && s->message_room > 4096) { /* after an image */
        free(s->message);
        s->message = NULL;
        s->message_room = 0;
    }
}

static void keep(struct stream *s, const char *bytes, size_t len)
{
    if (s->message_len + len > s->message_room) {
        s->message_room = s->message_len + len + 256;
        s->message = realloc(s->message, s->message_room);
        if (s->message == NULL || s->message_room > MESSAGE_MAX) {
            die("a message's memory");
        }
    }
    memcpy(s->message + s->message_len, bytes, len);
    s->message_len += len;
}

/* --- framing -------------------------------------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static void take_byte(struct stream *s, char c)
{
    static const char head_end[] = "\r\n\r\n";

    if (s->framing == IN_HEAD) {
        s->matched = c == head_end[s->matched] ? s->matched + 1 : c == '\r';
        if (s->matched == 4) {
            s->framing = IN_SIZE;
        }
    } else if (s->framing == IN_SIZE) {
        if (hex(c) >= 0) {
            s->chunk_left = s->chunk_left * 16 + (size_t)hex(c);
        } else if (c == '\n') {
            s->framing = IN_CHUNK;
        }
    } else if (c == '\n') { /* behind a chunk */
        s->framing = IN_SIZE;
    }
}

static void take_bytes(struct stream *s, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t taken = 1;

        if (s->framing == IN_CHUNK) {
            taken = len < s->chunk_left ? len : s->chunk_left;
            keep(s, bytes, taken);
            s->chunk_left -= taken;
            if (s->chunk_left == 0) {
                s->framing = IN_CHUNK_END;
            }
        } else {
            take_byte(s, *bytes);
        }
        bytes += taken;
        len -= taken;
    }
    take_envelopes(s);
}

static void read_stream(struct stream *s)
{
    static char bytes[READ_BYTES];

    for (;;) {
        int n = SSL_read(s->ssl, bytes, sizeof(bytes));

        if (n <= 0) {
            if (SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ) {
                return;
            }
            die("a stream was cut");
        }
        take_bytes(s, bytes, (size_t)n);
    }
}

/* --- opening -------------------------------------------------------------------------------------- */

struct body {
    char bytes[BODY_MAX];
    size_t len;
};

static void read_body(const char *path, struct body *out)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        die(path);
    }
    out->len = fread(out->bytes, 1, sizeof(out->bytes), file);
    (void)fclose(file);
}

static void number_body(struct body *body, unsigned number)
{
    char *zeros = memmem(body->bytes, body->len, "0000", 4);
    char digits[16];

    if (zeros != NULL) {
        (void)snprintf(digits, sizeof(digits), "%04u", number % 10000);
        memcpy(zeros, digits, 4);
    }
}

static void open_stream(struct stream *s, const struct body *body)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(bench.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
    char request[BODY_MAX + 512];
    int on = 1;

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die("connect");
    }
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    s->ssl = SSL_new(bench.context);
    SSL_set_fd(s->ssl, s->fd);
    if (SSL_connect(s->ssl) != 1) {
        die("SSL_connect");
    }
    size_t len =
        (size_t)snprintf(request, sizeof(request),
                         "POST /xenres.v1.%s HTTP/1.1\r\n"
                         "Host: localhost\r\nContent-Type: application/connect+proto\r\n"
                         "Connect-Protocol-Version: 1\r\nContent-Length: %zu\r\n\r\n",
                         bench.is_trace ? "TraceService/ReadTrace" : "ResourceService/Watch",
                         ENVELOPE_BYTES + body->len);
    const char envelope[ENVELOPE_BYTES] = { 0, 0, 0, (char)(body->len >> 8), (char)body->len };

    memcpy(request + len, envelope, sizeof(envelope));
    memcpy(request + len + sizeof(envelope), body->bytes, body->len);
    len += sizeof(envelope) + body->len;
    if (SSL_write(s->ssl, request, (int)len) != (int)len ||
        fcntl(s->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(bench.epoll_fd, EPOLL_CTL_ADD, s->fd, &event) != 0) {
        die("a request");
    }
}

static bool look(int timeout_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(bench.epoll_fd, events, 256, timeout_ms);

    for (int i = 0; i < n; i++) {
        read_stream(events[i].data.ptr);
    }
    return n > 0;
}

static void open_all(unsigned active, const char *active_path, unsigned idle, const char *idle_path,
                     unsigned kinds)
{
    struct body active_body, idle_body;
    uint64_t end_ns = now_ns() + WARM_TIMEOUT_S * UINT64_C(1000000000);

    read_body(active_path, &active_body);
    if (idle > 0) {
        read_body(idle_path, &idle_body);
    }
    for (unsigned i = 0; i < active + idle; i++) {
        struct stream *s = &bench.streams[bench.stream_count++];
        struct body body = i < active ? active_body : idle_body;

        s->active = i < active;
        if (!s->active) {
            number_body(&body, kinds > 0 ? (i - active) % kinds : 0);
        }
        open_stream(s, &body);
        /* Those that are open are read meanwhile: who reads too slowly is ended. */
        for (unsigned j = 0; j < LOOKS_MAX && look(0); j++) {
        }
    }
    while (bench.warm_count < bench.stream_count) {
        if (now_ns() > end_ns) {
            fprintf(stderr, "stream_client: %u of %u streams have begun\n", bench.warm_count,
                    bench.stream_count);
            exit(1);
        }
        (void)look(100);
    }
}

/* --- measuring ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile_us(double p)
{
    size_t at = (size_t)((double)(bench.latency_count - 1) * p);

    return bench.latency_count > 0 ? bench.latencies_ns100[at] / 10.0 : 0;
}

static void measure(double seconds)
{
    uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9);

    bench.latency_count = 0;
    bench.messages = bench.bytes = bench.blocks = bench.gaps = 0;
    bench.measuring = true;
    for (uint64_t now = now_ns(); now < end_ns; now = now_ns()) {
        (void)look((int)((end_ns - now) / 1000000) + 1);
    }
    bench.measuring = false;
    qsort(bench.latencies_ns100, bench.latency_count, sizeof(uint32_t), compare);
    printf("{\"messages\": %llu, \"bytes\": %llu, \"blocks\": %llu, \"gaps\": %llu, "
           "\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)bench.messages, (unsigned long long)bench.bytes,
           (unsigned long long)bench.blocks, (unsigned long long)bench.gaps, percentile_us(0.5),
           percentile_us(0.9), percentile_us(0.99), percentile_us(1.0));
    (void)fflush(stdout);
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
    struct rlimit files = { .rlim_cur = STREAMS_MAX + 64, .rlim_max = STREAMS_MAX + 64 };
    double seconds;

    bench.is_trace = argc == 9 && strcmp(argv[8], "trace") == 0;
    if (argc != 8 && !bench.is_trace) {
        fprintf(stderr,
                "usage: stream_client PORT DIR ACTIVE ACTIVE_BODY IDLE IDLE_BODY KINDS [trace]\n");
        return 2;
    }
    unsigned active = (unsigned)atoi(argv[3]), idle = (unsigned)atoi(argv[5]);

    bench.port = (uint16_t)atoi(argv[1]);
    bench.dir = argv[2];
    (void)setrlimit(RLIMIT_NOFILE, &files);
    bench.context = make_context();
    bench.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bench.streams = calloc(STREAMS_MAX, sizeof(*bench.streams));
    bench.latencies_ns100 = malloc(LATENCIES_MAX * sizeof(uint32_t));
    if (active + idle > STREAMS_MAX || bench.epoll_fd < 0 || bench.streams == NULL ||
        bench.latencies_ns100 == NULL) {
        die("start");
    }
    open_all(active, argv[4], idle, argv[6], (unsigned)atoi(argv[7]));
    puts("warm");
    (void)fflush(stdout);
    /* What comes between two measurements has to be read, too. */
    for (;;) {
        fd_set input;
        struct timeval none = { 0 };

        (void)look(1);
        FD_ZERO(&input);
        FD_SET(STDIN_FILENO, &input);
        if (select(STDIN_FILENO + 1, &input, NULL, NULL, &none) == 1) {
            if (scanf("%lf", &seconds) != 1) {
                return 0;
            }
            measure(seconds);
        }
    }
}
