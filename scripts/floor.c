/* The least that a server can do: an epoll loop that reads, parses nothing, and answers each request
 * of a known length with the same reply. What a server costs above this is its own; what this costs
 * is the kernel's.
 *
 *     floor PORT REQUEST_BYTES REPLY_BYTES
 *
 * REPLY_BYTES 5 is "+OK\r\n", 7 "+PONG\r\n", others a bulk string of that length all in all. What
 * redis-benchmark asks before it begins (CONFIG GET) is refused. */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, READ_BYTES = 1 << 16, FDS = 1 << 16 };

static char input[READ_BYTES];
static size_t unanswered[FDS]; /* bytes of a request that has not come whole */

static char *make_replies(size_t len, size_t count) {
    char *one = malloc(len + 32), *all = malloc(len * count);
    memset(one, 'x', len);
    if (len < 8) {
        /* "+xx\r\n" */
        one[0] = '+';
        memcpy(one + len - 2, "\r\n", 2);
    } else {
        /* "$N\r\n" + N bytes + "\r\n" */
        size_t body = len;
        while (body > 0 && (size_t)snprintf(NULL, 0, "$%zu\r\n", body) + body + 2 > len) body--;
        int head = sprintf(one, "$%zu\r\n", body);
        one[head] = 'x';
        memcpy(one + len - 2, "\r\n", 2);
    }
    for (size_t i = 0; i < count; i++) memcpy(all + i * len, one, len);
    return all;
}

static void write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n > 0) { bytes += n; len -= (size_t)n; }
        else if (n < 0) usleep(50); /* the socket is full */
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    size_t request_len = (size_t)atol(argv[2]), reply_len = (size_t)atol(argv[3]);
    size_t most = READ_BYTES / request_len + 1;
    char *replies = make_replies(reply_len, most);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 2048)) return 1;
    int epoll = epoll_create1(0);
    struct epoll_event events[EVENTS], event = { .events = EPOLLIN, .data.fd = listener };
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n_ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n_ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client;
                while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && client < FDS) {
                    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    unanswered[client] = 0;
                    event.data.fd = client;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
                }
                continue;
            }
            ssize_t n = read(fd, input, READ_BYTES);
            if (n <= 0) { close(fd); continue; }
            if (n > 14 && memcmp(input + 8, "CONFIG", 6) == 0) {
                write_all(fd, "-ERR\r\n-ERR\r\n", 12);
                continue;
            }
            size_t total = unanswered[fd] + (size_t)n;
            unanswered[fd] = total % request_len;
            write_all(fd, replies, total / request_len * reply_len);
        }
    }
}
