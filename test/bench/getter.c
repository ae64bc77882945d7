// SPDX-License-Identifier: GPL-2.0
/*
 * getter PORT KEYS SIZE: asks a redis on loopback for random keys of DEBUG POPULATE, one at a time.
 * Connects as soon as it listens; prints JSON when its standard input is closed: the time
 * of the first right reply (CLOCK_MONOTONIC seconds), count, p50/p99/max in us, wrong replies.
 * With GETTER_SAMPLES=FILE in the environment each reply's time and latency go there.
 * A value of DEBUG POPULATE is "value:N" padded with zeros to SIZE bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES_MAX = 4000000 };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static int stdin_closed(void)
{
	struct pollfd pfd = { .fd = 0, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

static int connect_soon(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	while (!stdin_closed()) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			return fd;
		}
		close(fd);
		usleep(100);
	}
	exit(1);
}

/* One GET; 1 if the reply is the value that belongs to the key, 0 if not, -1 at the end. */
static int get(int fd, long key, size_t size, char *buf, size_t buf_size)
{
	char request[128], want[64];
	size_t have = 0;
	char *body;
	int len = snprintf(request, sizeof(request), "*2\r\n$3\r\nGET\r\n$%d\r\nkey:%ld\r\n",
			   snprintf(NULL, 0, "key:%ld", key), key);

	if (write(fd, request, len) != len)
		return -1;
	do {
		ssize_t n = read(fd, buf + have, buf_size - 1 - have);

		if (n <= 0)
			return -1;
		have += n;
		buf[have] = 0;
		body = strstr(buf, "\r\n");
	} while (!body || have < (size_t)(body - buf) + 4 + strtoul(buf + 1, NULL, 10));
	len = snprintf(want, sizeof(want), "value:%ld", key);
	body += 2;
	if (strtoul(buf + 1, NULL, 10) != size || memcmp(body, want, len))
		return 0;
	for (size_t i = len; i < size; i++) {
		if (body[i])
			return 0;
	}
	return 1;
}

/* One line per reply: when it came, and how long it took, us. */
static void save(const char *path, const float *samples, const double *ends, size_t count)
{
	FILE *f = fopen(path, "w");

	for (size_t i = 0; f && i < count; i++)
		fprintf(f, "%.6f %.1f\n", ends[i], samples[i]);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	float *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	double *ends = malloc(SAMPLES_MAX * sizeof(*ends));
	size_t count = 0, wrong = 0, size, buf_size;
	double first = 0;
	long keys;
	char *buf;
	int fd;

	if (argc < 4 || !samples || !ends)
		return 2;
	keys = atol(argv[2]);
	size = strtoul(argv[3], NULL, 10);
	buf_size = size + 4096;
	buf = malloc(buf_size);
	fd = connect_soon(atoi(argv[1]));
	srandom(getpid());
	while (count < SAMPLES_MAX && !stdin_closed()) {
		double start = now();
		int right = get(fd, random() % keys, size, buf, buf_size);

		if (right < 0)
			break;
		wrong += !right;
		ends[count] = now();
		samples[count++] = (now() - start) * 1e6;
		if (!first)
			first = now();
	}
	if (getenv("GETTER_SAMPLES"))
		save(getenv("GETTER_SAMPLES"), samples, ends, count);
	qsort(samples, count, sizeof(*samples), compare);
	printf("{\"first\": %.6f, \"count\": %zu, \"wrong\": %zu, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f, \"max_us\": %.1f}\n",
	       first, count, wrong, count ? samples[count / 2] : 0,
	       count ? samples[count * 99 / 100] : 0, count ? samples[count - 1] : 0);
	return 0;
}
