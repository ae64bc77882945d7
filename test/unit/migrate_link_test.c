// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "migrate/forward.h"
#include "migrate/link.h"
#include "options/options.h"
#include "unit.h"
#include "util/log.h"

static void open_pipe(struct link *link, int *to)
{
	int ends[2];

	check(!pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	*link = (struct link){ .in = -1, .out = ends[0] };
	*to = ends[1];
}

static void put(int fd, const void *bytes, size_t len)
{
	check_eq(write(fd, bytes, len), (ssize_t)len);
}

static void put_text(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

static void expect(struct link *link, const char *word, const char *rest)
{
	char *got_word, *got_rest;

	check(link_line(link, &got_word, &got_rest));
	check(!strcmp(got_word, word) && !strcmp(got_rest, rest));
}

static void expect_none(struct link *link)
{
	char *word, *rest;

	check(!link_line(link, &word, &rest));
}

/* Banners of a login, lines in pieces, several at once, words without more. */
static void test_lines(void)
{
	struct link link;
	int to;

	open_pipe(&link, &to);
	expect_none(&link);
	put_text(to, "Welcome to other\nLast login: @migrate failed\n@migr");
	expect_none(&link);
	put_text(to, "ate hello 1 boot 4 -\n@migrate ready\n@migrate note a  b\n@migrate\n");
	expect(&link, "hello", "1 boot 4 -");
	expect(&link, "ready", "");
	expect(&link, "note", "a  b");
	expect_none(&link);
	put_text(to, "@migrate lost without its end");
	close(to);
	expect_none(&link);
	check_eq(link.out, -1);
	expect_none(&link);
}

/* What is no line of ours, however long and whatever is in it, is passed over. */
static void test_noise(void)
{
	static char noise[3 * MIGRATE_LINE_MAX];
	struct link link;
	int to;

	open_pipe(&link, &to);
	memset(noise, 'x', sizeof(noise));
	put(to, noise, sizeof(noise));
	put(to, "\0\0@migrate \0\n\n\n", 15);
	put_text(to, "@migrate running \n");
	expect(&link, "running", "");
	expect_none(&link);
	close(to);
	close(link.out);
}

static void test_words(void)
{
	check(link_words_are_plain("criu-lazy"));
	check(link_words_are_plain("sudo /opt/criu-lazy_1.0/bin/criu-lazy"));
	check(link_words_are_plain("env A:B,C@D+E%F"));
	check(!link_words_are_plain(""));
	check(!link_words_are_plain(" x"));
	check(!link_words_are_plain("-x"));
	check(!link_words_are_plain("a;b"));
	check(!link_words_are_plain("a'b"));
	check(!link_words_are_plain("a\nb"));
	check(!link_words_are_plain("~/criu"));
	check(!link_words_are_plain("a=b c"));
	check(!link_words_are_plain("$(x)"));
}

static void apply(struct options *opts, const char *bytes, size_t len, int expected)
{
	char *copy = malloc(len + 1);

	check(copy);
	memcpy(copy, bytes, len);
	copy[len] = '\0';
	check_eq(forward_apply(opts, copy, len), expected);
	free(copy);
}

static void test_options(void)
{
	struct options opts;

	options_init(&opts);
	apply(&opts, "shell-job", 9, 0);
	apply(&opts, "no-shell-job", 12, 0);
	check(!opts.shell_job);
	apply(&opts, "tls-cert\0a \"b\" 'c'", 18, 0);
	check(!strcmp(opts.tls_cert, "a \"b\" 'c'"));
	apply(&opts,
	      "port\0"
	      "7",
	      6, 0);
	check_eq(opts.port, 7);
	apply(&opts, "port\0", 5, -EINVAL);
	apply(&opts, "port", 4, -EINVAL);
	apply(&opts, "", 0, -EINVAL);
	apply(&opts, "\0", 1, -EINVAL);
	apply(&opts, "nosuch\0x", 8, -EINVAL);
	options_fini(&opts);
}

/* Sent by one end, applied by the other. */
static void test_forward(void)
{
	struct options from, to;
	struct migrate_record record;
	struct link link = { .in = -1, .out = -1 };
	char bytes[4096];
	int ends[2];

	options_init(&from);
	options_init(&to);
	check(!pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	link.in = ends[1];
	apply(&from, "file-locks", 10, 0);
	apply(&from, "tls-key\0a key", 13, 0);
	apply(&from, "external\0one", 12, 0);
	apply(&from, "external\0two", 12, 0);
	apply(&from, "remote-option\0--tls-key=other = key", 35, 0);
	apply(&from, "remote-option\0tcp-close", 23, 0);
	apply(&from, "compress\0lz4", 12, 0);
	check(!forward_options(&link, &from, "10.0.0.1", 27000));
	while (read(ends[0], &record, sizeof(record)) == sizeof(record)) {
		check_eq(record.type, MIGRATE_OPTION);
		check(record.len < sizeof(bytes));
		check_eq(read(ends[0], bytes, record.len), record.len);
		bytes[record.len] = '\0';
		check(!forward_apply(&to, bytes, record.len));
	}
	check(to.file_locks && to.tcp_close && !to.shell_job);
	check(!strcmp(to.tls_key, "other = key"));
	check_eq(to.external.count, 2);
	check(!strcmp(to.external.items[1], "two"));
	check_eq(to.compress, COMPRESS_LZ4);
	check(!strcmp(to.address, "10.0.0.1"));
	check_eq(to.port, 27000);
	close(ends[0]);
	close(ends[1]);
	options_fini(&from);
	options_fini(&to);
}

int main(void)
{
	log_setup(-1, LOG_LEVEL_NONE, false);
	test_lines();
	test_noise();
	test_words();
	test_options();
	test_forward();
	return 0;
}
