/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log. One line per event, "(seconds.micros) Error (file:line): text", the
 * shape users of criu grep for. Name the object first ("task 412: fd 7: ...").
 * No secrets and no page data.
 *
 * Any process and any thread of ours may call it; each line is one write(2).
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <errno.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_NONE = 0,
	LOG_LEVEL_ERROR = 1, /* a human must act */
	LOG_LEVEL_WARN = 2,  /* the result may differ */
	LOG_LEVEL_INFO = 3,  /* one line per phase and object */
	LOG_LEVEL_DEBUG = 4, /* every decision */
};

/*
 * Writes later lines to fd (borrowed, must stay open; -1: standard error) down
 * to and including `level`. with_pid puts the writer's pid on each line. From
 * the main process, before any fork; again between requests of a server. The
 * descriptor in use before is not closed (options_open_log() does).
 */
void log_setup(int fd, enum log_level level, bool with_pid);

/* The fd in use, or -1 for standard error; and moving it to another number. */
int log_fd(void);
void log_set_fd(int fd);
enum log_level log_level(void);

/*
 * The first error logged in this process or its forked children, without
 * prefix, or NULL: what an RPC client is told. Valid until the process ends.
 */
const char *log_first_error(void);
/* From now on another one is the first: for a server, before each request. */
void log_forget_first_error(void);

/* One line; through the macros below. errno is as before. */
void log_line(enum log_level level, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Logs an error line with strerror(err), err a negative errno; returns err. */
int log_line_errno(int err, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define log_err(...)  log_line(LOG_LEVEL_ERROR, __FILE__, __LINE__, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __FILE__, __LINE__, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define log_debug(...)                                                              \
	do {                                                                        \
		if (log_level() >= LOG_LEVEL_DEBUG)                                 \
			log_line(LOG_LEVEL_DEBUG, __FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* return log_errno("task %d: open %s", pid, path): logs errno's text, yields -errno. */
#define log_errno(...) log_line_errno(-errno, __FILE__, __LINE__, __VA_ARGS__)
/* return log_ret(err, "..."): the same for an error value already at hand. */
#define log_ret(err, ...) log_line_errno((err), __FILE__, __LINE__, __VA_ARGS__)

#endif
