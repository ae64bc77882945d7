// SPDX-License-Identifier: GPL-2.0
/*
 * store PORT MIB: a stand-in for redis where none is installed. Fills MIB mebibytes, then answers
 * on loopback, one line each: "GET n" the n-th page's first word, "DIGEST" a checksum of
 * everything.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static uint64_t *data;
static size_t words;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	return x ^ x >> 29;
}

static uint64_t digest(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < words; i++)
		sum = mix(sum ^ data[i]);
	return sum;
}

static void serve(FILE *in, FILE *out)
{
	char line[256];

	while (fgets(line, sizeof(line), in)) {
		size_t page = strncmp(line, "GET ", 4) ? 0 : strtoull(line + 4, NULL, 10);

		if (!strncmp(line, "DIGEST", 6))
			fprintf(out, "+%016lx\r\n", digest());
		else
			fprintf(out, "+%016lx\r\n", data[page * (PAGE / 8) % words]);
		fflush(out);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (argc != 3)
		return 2;
	words = (size_t)strtoul(argv[2], NULL, 10) << 17;
	addr.sin_port = htons(atoi(argv[1]));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	data = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < words; i++)
		data[i] = mix(i);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 16))
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		FILE *in = fd < 0 ? NULL : fdopen(fd, "r"), *out = in ? fdopen(dup(fd), "w") : NULL;

		if (!out)
			continue;
		serve(in, out);
		fclose(out);
		fclose(in);
	}
}
