// SPDX-License-Identifier: GPL-2.0
#include "kinds/sockets/sk_opts.h"

#include <linux/filter.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "dump/ids.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
enum { MAX_FILTER = 4096 }; /* BPF_MAXINSNS */

int sk_get_int(int fd, int level, int option, int fallback)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, option, &value, &len) ? fallback : value;
}

int sk_shutdown_how(SkShutdown shutdown)
{
	switch (shutdown) {
	case SK_SHUTDOWN__READ:
		return SHUT_RD;
	case SK_SHUTDOWN__WRITE:
		return SHUT_WR;
	case SK_SHUTDOWN__BOTH:
		return SHUT_RDWR;
	default:
		return -1;
	}
}

bool sk_net_ns_id(const struct dump *dump, uint32_t *id)
{
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;

	ids_fill_namespaces(&ids);
	*id = ids.net_ns_id;
	return ids.has_net_ns_id;
}

/* ---- dump ---------------------------------------------------------------- */

static int dump_filter(int fd, SkOptsEntry *opts)
{
	socklen_t count = 0; /* instructions, not bytes: socket(7) does not tell */

	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &count) || !count)
		return 0;
	scoped_free struct sock_filter *code = calloc(count, sizeof(*code));
	opts->so_filter = calloc(count, sizeof(opts->so_filter[0]));
	if (!code || !opts->so_filter)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, code, &count))
		return -errno;
	for (socklen_t i = 0; i < count; i++)
		opts->so_filter[i] = (uint64_t)code[i].code << 48 | (uint64_t)code[i].jt << 40 |
				     (uint64_t)code[i].jf << 32 | code[i].k;
	opts->n_so_filter = count;
	return 0;
}

static void dump_timeouts(int fd, SkOptsEntry *opts)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len);
	opts->so_snd_tmo_sec = tv.tv_sec;
	opts->so_snd_tmo_usec = tv.tv_usec;
	len = sizeof(tv);
	getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	opts->so_rcv_tmo_sec = tv.tv_sec;
	opts->so_rcv_tmo_usec = tv.tv_usec;
}

/* Options that are written only when they are on. */
static int dump_rare(int fd, SkOptsEntry *opts)
{
	struct linger linger = { 0 };
	char device[IFNAMSIZ] = "";
	socklen_t len = sizeof(linger);

	opts->so_mark = sk_get_int(fd, SOL_SOCKET, SO_MARK, 0);
	opts->has_so_mark = opts->so_mark;
	if (!getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) && linger.l_onoff) {
		opts->has_so_linger = true;
		opts->so_linger = linger.l_linger;
	}
	len = sizeof(device);
	if (!getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && device[0]) {
		opts->so_bound_dev = strndup(device, sizeof(device));
		if (!opts->so_bound_dev)
			return -ENOMEM;
	}
	return dump_filter(fd, opts);
}

#define DUMP_INT(field, option, fallback)                                   \
	do {                                                                \
		opts->has_##field = true;                                   \
		opts->field = sk_get_int(fd, SOL_SOCKET, option, fallback); \
	} while (0)

int sk_opts_dump(const struct fd_probe *probe, SkOptsEntry **out)
{
	SkOptsEntry *opts = message_new(SkOptsEntry, sk_opts_entry);
	int fd = probe->fd, ret;

	if (!opts)
		return -ENOMEM;
	*out = opts;
	opts->so_sndbuf = sk_get_int(fd, SOL_SOCKET, SO_SNDBUF, 0);
	opts->so_rcvbuf = sk_get_int(fd, SOL_SOCKET, SO_RCVBUF, 0);
	dump_timeouts(fd, opts);
	DUMP_INT(reuseaddr, SO_REUSEADDR, 0);
	DUMP_INT(so_reuseport, SO_REUSEPORT, 0);
	DUMP_INT(so_priority, SO_PRIORITY, 0);
	DUMP_INT(so_rcvlowat, SO_RCVLOWAT, 1);
	DUMP_INT(so_passcred, SO_PASSCRED, 0);
	DUMP_INT(so_passsec, SO_PASSSEC, 0);
	DUMP_INT(so_dontroute, SO_DONTROUTE, 0);
	DUMP_INT(so_no_check, SO_NO_CHECK, 0);
	DUMP_INT(so_broadcast, SO_BROADCAST, 0);
	DUMP_INT(so_keepalive, SO_KEEPALIVE, 0);
	DUMP_INT(so_oobinline, SO_OOBINLINE, 0);
	DUMP_INT(so_buf_lock, SO_BUF_LOCK, 0);
	ret = dump_rare(fd, opts);
	if (ret)
		return log_ret(ret, "task %d: fd %d: read the socket's options", probe->task->pid,
			       probe->number);
	return 0;
}

/* ---- restore ------------------------------------------------------------- */

struct int_option {
	int option;
	const char *name;
	int value;
	int initial; /* of a new socket: nothing to set */
};

static int set_ints(int fd, const char *what, uint32_t id, const struct int_option *options,
		    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct int_option *o = &options[i];

		if (o->value == sk_get_int(fd, SOL_SOCKET, o->option, o->initial))
			continue;
		if (setsockopt(fd, SOL_SOCKET, o->option, &o->value, sizeof(o->value)))
			return log_errno("%s %#x: set %s to %d", what, id, o->name, o->value);
	}
	return 0;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int sk_opts_restore_early(int fd, const char *what, uint32_t id, const SkOptsEntry *opts)
{
	const struct int_option options[] = {
		{ SO_REUSEADDR, "SO_REUSEADDR", opts->reuseaddr, 0 },
		{ SO_REUSEPORT, "SO_REUSEPORT", opts->so_reuseport, 0 },
		{ SO_MARK, "SO_MARK", opts->so_mark, 0 },
	};
	const char *device = opts->so_bound_dev;

	if (device && device[0] &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)))
		return log_errno("%s %#x: bind to device %s", what, id, device);
	return set_ints(fd, what, id, options, COUNT(options));
}

/* The kernel doubles what is set and returns that. BUFFORCE needs CAP_NET_ADMIN; without it the
 * limits of net.core.[rw]mem_max hold. */
static int set_buffer(int fd, uint32_t wanted, int option, int force)
{
	int half = wanted / 2;

	if (!wanted || sk_get_int(fd, SOL_SOCKET, option, 0) == (int)wanted)
		return 0;
	if (!setsockopt(fd, SOL_SOCKET, force, &half, sizeof(half)))
		return 0;
	return setsockopt(fd, SOL_SOCKET, option, &half, sizeof(half)) ? -errno : 0;
}

static int set_buffers(int fd, const SkOptsEntry *opts)
{
	int lock = opts->so_buf_lock;
	int ret = set_buffer(fd, opts->so_sndbuf, SO_SNDBUF, SO_SNDBUFFORCE);

	ret = ret ?: set_buffer(fd, opts->so_rcvbuf, SO_RCVBUF, SO_RCVBUFFORCE);
	if (ret || sk_get_int(fd, SOL_SOCKET, SO_BUF_LOCK, lock) == lock)
		return ret;
	return setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof(lock)) ? -errno : 0;
}

static int set_timeout(int fd, int option, uint64_t sec, uint64_t usec)
{
	struct timeval tv = { .tv_sec = sec, .tv_usec = usec };

	if (!sec && !usec)
		return 0;
	return setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)) ? -errno : 0;
}

static int set_linger(int fd, const SkOptsEntry *opts)
{
	struct linger linger = { .l_onoff = 1, .l_linger = opts->so_linger };

	if (!opts->has_so_linger)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) ? -errno : 0;
}

static int set_filter(int fd, const SkOptsEntry *opts)
{
	struct sock_fprog program = { .len = opts->n_so_filter };

	if (!opts->n_so_filter)
		return 0;
	if (opts->n_so_filter > MAX_FILTER)
		return -EINVAL;
	scoped_free struct sock_filter *code = calloc(opts->n_so_filter, sizeof(*code));
	if (!code)
		return -ENOMEM;
	for (size_t i = 0; i < opts->n_so_filter; i++) {
		uint64_t word = opts->so_filter[i];

		code[i] = (struct sock_filter){
			.code = word >> 48, .jt = word >> 40, .jf = word >> 32, .k = word
		};
	}
	program.filter = code;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

int sk_opts_restore(int fd, const char *what, uint32_t id, const SkOptsEntry *opts)
{
	const struct int_option options[] = {
		{ SO_PRIORITY, "SO_PRIORITY", opts->so_priority, 0 },
		{ SO_RCVLOWAT, "SO_RCVLOWAT", opts->has_so_rcvlowat ? opts->so_rcvlowat : 1, 1 },
		{ SO_PASSCRED, "SO_PASSCRED", opts->so_passcred, 0 },
		{ SO_PASSSEC, "SO_PASSSEC", opts->so_passsec, 0 },
		{ SO_DONTROUTE, "SO_DONTROUTE", opts->so_dontroute, 0 },
		{ SO_NO_CHECK, "SO_NO_CHECK", opts->so_no_check, 0 },
		{ SO_BROADCAST, "SO_BROADCAST", opts->so_broadcast, 0 },
		{ SO_KEEPALIVE, "SO_KEEPALIVE", opts->so_keepalive, 0 },
		{ SO_OOBINLINE, "SO_OOBINLINE", opts->so_oobinline, 0 },
	};
	int ret = set_buffers(fd, opts);

	if (ret)
		return log_ret(ret, "%s %#x: set buffer sizes %u and %u", what, id, opts->so_sndbuf,
			       opts->so_rcvbuf);
	ret = set_timeout(fd, SO_SNDTIMEO, opts->so_snd_tmo_sec, opts->so_snd_tmo_usec);
	ret = ret ?: set_timeout(fd, SO_RCVTIMEO, opts->so_rcv_tmo_sec, opts->so_rcv_tmo_usec);
	if (ret)
		return log_ret(ret, "%s %#x: set timeouts", what, id);
	ret = set_linger(fd, opts);
	if (ret)
		return log_ret(ret, "%s %#x: set SO_LINGER", what, id);
	ret = set_ints(fd, what, id, options, COUNT(options));
	if (ret)
		return ret;
	ret = set_filter(fd, opts);
	return ret ? log_ret(ret, "%s %#x: attach the filter", what, id) : 0;
}
