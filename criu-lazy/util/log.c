// SPDX-License-Identifier: GPL-2.0
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, FIRST_ERROR_BYTES = 1024 };

/* Shared with forked children, so that the first error of a child is seen. */
struct first_error {
	int is_taken;
	int is_written;
	char text[FIRST_ERROR_BYTES];
};

static struct {
	int fd;
	enum log_level level;
	bool with_pid;
	struct timespec start;
	struct first_error *first;
} logger = { .fd = -1, .level = LOG_LEVEL_WARN };

void log_setup(int fd, enum log_level level, bool with_pid)
{
	void *shared;

	logger.fd = fd;
	logger.level = level;
	logger.with_pid = with_pid;
	clock_gettime(CLOCK_MONOTONIC, &logger.start);
	if (logger.first)
		return;
	shared = mmap(NULL, sizeof(*logger.first), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	logger.first = shared == MAP_FAILED ? NULL : shared;
}

int log_fd(void)
{
	return logger.fd;
}

void log_set_fd(int fd)
{
	logger.fd = fd;
}

enum log_level log_level(void)
{
	return logger.level;
}

const char *log_first_error(void)
{
	if (!logger.first || !__atomic_load_n(&logger.first->is_written, __ATOMIC_ACQUIRE))
		return NULL;
	return logger.first->text;
}

void log_forget_first_error(void)
{
	if (!logger.first)
		return;
	__atomic_store_n(&logger.first->is_written, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&logger.first->is_taken, 0, __ATOMIC_RELEASE);
}

static void keep_first_error(const char *text, size_t len)
{
	if (!logger.first || __atomic_exchange_n(&logger.first->is_taken, 1, __ATOMIC_ACQ_REL))
		return;
	if (len >= sizeof(logger.first->text))
		len = sizeof(logger.first->text) - 1;
	memcpy(logger.first->text, text, len);
	logger.first->text[len] = '\0';
	__atomic_store_n(&logger.first->is_written, 1, __ATOMIC_RELEASE);
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "Error ";
	case LOG_LEVEL_WARN:
		return "Warn  ";
	default:
		return "";
	}
}

static size_t put_prefix(char *buf, size_t size, enum log_level level, const char *file, int line)
{
	struct timespec now;
	long micros;
	int len;

	clock_gettime(CLOCK_MONOTONIC, &now);
	micros = (now.tv_sec - logger.start.tv_sec) * 1000000 +
		 (now.tv_nsec - logger.start.tv_nsec) / 1000;
	len = snprintf(buf, size, "(%02ld.%06ld) ", micros / 1000000, micros % 1000000);
	if (logger.with_pid)
		len += snprintf(buf + len, size - len, "%6d: ", getpid());
	if (level <= LOG_LEVEL_WARN)
		len += snprintf(buf + len, size - len, "%s(%s:%d): ", level_word(level), file,
				line);
	return len;
}

static void __attribute__((format(printf, 5, 0)))
put_line(enum log_level level, const char *file, int line, int err, const char *fmt, va_list args)
{
	char buf[LINE_MAX_BYTES];
	size_t start, len;
	int fd = logger.fd >= 0 ? logger.fd : STDERR_FILENO;
	int n;

	start = len = put_prefix(buf, sizeof(buf) - 1, level, file, line);
	n = vsnprintf(buf + len, sizeof(buf) - 1 - len, fmt, args);
	len += n < 0 ? 0 : (size_t)n;
	if (len > sizeof(buf) - 2)
		len = sizeof(buf) - 2;
	if (err) {
		n = snprintf(buf + len, sizeof(buf) - 1 - len, ": %s", strerror(-err));
		len += n < 0 ? 0 : (size_t)n;
		if (len > sizeof(buf) - 2)
			len = sizeof(buf) - 2;
	}
	if (level == LOG_LEVEL_ERROR)
		keep_first_error(buf + start, len - start);
	if (level > logger.level)
		return;
	buf[len++] = '\n';
	if (write(fd, buf, len) < 0)
		return; /* nowhere left to say it */
}

void log_line(enum log_level level, const char *file, int line, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (level > logger.level && level != LOG_LEVEL_ERROR)
		return;
	va_start(args, fmt);
	put_line(level, file, line, 0, fmt, args);
	va_end(args);
	errno = saved;
}

int log_line_errno(int err, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line(LOG_LEVEL_ERROR, file, line, err, fmt, args);
	va_end(args);
	return err;
}
