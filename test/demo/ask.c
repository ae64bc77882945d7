// SPDX-License-Identifier: GPL-2.0
/*
 * ask PORT LINE [SECONDS]: connects to a server on loopback, again and again until it listens (at
 * most SECONDS, default 120), sends LINE, and prints the time (CLOCK_REALTIME, seconds) and the
 * reply. A bulk reply of redis ("$LENGTH") is its second line.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int connect_until(int port, double end)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (now() < end) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		close(fd);
		usleep(200);
	}
	fprintf(stderr, "nobody listens on port %d\n", port);
	exit(1);
}

int main(int argc, char **argv)
{
	char reply[4096];
	FILE *in;
	int fd;

	if (argc < 3)
		return 2;
	fd = connect_until(atoi(argv[1]), now() + (argc > 3 ? atof(argv[3]) : 120));
	if (dprintf(fd, "%s\r\n", argv[2]) < 0)
		return 1;
	in = fdopen(fd, "r");
	if (!in || !fgets(reply, sizeof(reply), in))
		return 1;
	if (reply[0] == '$' && reply[1] != '-' && !fgets(reply, sizeof(reply), in))
		return 1;
	reply[strcspn(reply, "\r\n")] = '\0';
	printf("%.6f %.80s\n", now(), reply);
	return reply[0] == '-';
}
