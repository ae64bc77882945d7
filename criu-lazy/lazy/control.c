// SPDX-License-Identifier: GPL-2.0
#include "lazy/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lazy/engine.h"
#include "lazy/remote.h"
#include "util/log.h"
#include "util/scope.h"

enum { WORDS_MAX = 512, ANSWER_SECONDS = 5 };
/* After the restore has let its tasks go: what they touch at once comes without company. */
#define FIRST_STEPS_NS 1500000ull

/* By way of the descriptor: a path may be longer than sun_path. */
static void name_socket(int dir, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", dir,
		 CONTROL_SOCKET_NAME);
}

void control_open(struct lazyd *lazyd)
{
	struct sockaddr_un addr;
	mode_t mask;
	int ret;

	lazyd->control_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lazyd->control_fd < 0) {
		log_errno("%s", CONTROL_SOCKET_NAME);
		return;
	}
	/* lazy-pages.socket has told that no other daemon is here. */
	unlinkat(lazyd->work_dir, CONTROL_SOCKET_NAME, 0);
	name_socket(lazyd->work_dir, &addr);
	mask = umask(0177);
	ret = bind(lazyd->control_fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (ret) {
		log_ret(ret, "%s", CONTROL_SOCKET_NAME);
		close(lazyd->control_fd);
		lazyd->control_fd = -1;
	}
}

void control_watch(struct lazyd *lazyd)
{
	if (lazyd->control_fd >= 0)
		engine_watch(lazyd, lazyd->control_fd, &lazyd->control_watch, WATCH_CONTROL, NULL);
}

void control_close(struct lazyd *lazyd)
{
	if (lazyd->control_fd < 0)
		return;
	unlinkat(lazyd->work_dir, CONTROL_SOCKET_NAME, 0);
	close(lazyd->control_fd);
	lazyd->control_fd = -1;
}

static int obey(struct lazyd *lazyd, const char *words)
{
	unsigned int port;
	uint64_t rate;
	int at = 0;

	if (!strcmp(words, "restored")) {
		lazyd->is_restored = true;
		lazyd->background_after = lazy_now() + FIRST_STEPS_NS;
		return 0;
	}
	if (sscanf(words, "recover %u %n", &port, &at) == 1 && at && words[at] && port > 0 &&
	    port <= UINT16_MAX)
		return remote_move(lazyd, words + at, (uint16_t)port);
	if (sscanf(words, "rate %" SCNu64, &rate) == 1)
		return remote_rate(lazyd, rate);
	return -EINVAL;
}

struct letter {
	char words[WORDS_MAX + 1];
	struct sockaddr_un from;
	socklen_t from_len;
};

static bool receive(int fd, struct letter *letter)
{
	ssize_t len;

	letter->from_len = sizeof(letter->from);
	len = recvfrom(fd, letter->words, WORDS_MAX, MSG_DONTWAIT, (struct sockaddr *)&letter->from,
		       &letter->from_len);
	if (len <= 0)
		return false;
	letter->words[len] = '\0';
	return true;
}

static void reply(int fd, const struct letter *letter, const char *words)
{
	if (letter->from_len > sizeof(sa_family_t) &&
	    sendto(fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&letter->from, letter->from_len) < 0)
		log_debug("answer: %s", strerror(errno));
}

void control_ready(struct lazyd *lazyd)
{
	struct letter letter;
	int ret;

	if (!receive(lazyd->control_fd, &letter))
		return;
	ret = obey(lazyd, letter.words);
	log_info("told \"%s\": %s", letter.words, ret ? strerror(-ret) : "ok");
	reply(lazyd->control_fd, &letter, ret ? strerror(-ret) : "ok");
}

bool control_hears_resume(int fd)
{
	struct letter letter;
	bool is_resume;

	if (!receive(fd, &letter))
		return false;
	is_resume = !strcmp(letter.words, "resume");
	reply(fd, &letter, is_resume ? "ok" : "the daemon is dead and its tasks wait");
	return is_resume;
}

/* ---- the other side -------------------------------------------------------------- */

static int connect_daemon(const struct options *opts, int *out)
{
	const char *work = opts->work_dir     ? opts->work_dir
			   : opts->images_dir ? opts->images_dir
					      : ".";
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	scoped_fd int dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr, own = { .sun_family = AF_UNIX };

	if (dir < 0)
		return log_errno("work directory %s", work);
	if (fd < 0)
		return log_errno("socket");
	name_socket(dir, &addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	/* A name of the kernel's choice, so that we can be answered. */
	if (bind(fd, (struct sockaddr *)&own, offsetof(struct sockaddr_un, sun_path)))
		return log_errno("socket: bind");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return log_errno("%s/%s: no lazy-pages daemon is here", work, CONTROL_SOCKET_NAME);
	*out = take_fd(&fd);
	return 0;
}

static int tell(int fd, const char *words)
{
	char reply[128];
	ssize_t len;

	if (send(fd, words, strlen(words), MSG_NOSIGNAL) < 0)
		return log_errno("lazy-pages daemon");
	len = recv(fd, reply, sizeof(reply) - 1, 0);
	if (len < 0)
		return log_errno("lazy-pages daemon: no answer");
	reply[len] = '\0';
	return strcmp(reply, "ok") ? log_ret(-EINVAL, "lazy-pages daemon: %s", reply) : 0;
}

void control_say_restored(void)
{
	static const char words[] = "restored";
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = CONTROL_SOCKET_NAME };
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || sendto(fd, words, sizeof(words) - 1, MSG_NOSIGNAL, (struct sockaddr *)&addr,
			     sizeof(addr)) < 0)
		log_debug("%s: %s", CONTROL_SOCKET_NAME, strerror(errno));
}

int control_resume(int work_dir)
{
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr, own = { .sun_family = AF_UNIX };
	char words[128];
	ssize_t len;

	name_socket(work_dir, &addr);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    bind(fd, (struct sockaddr *)&own, offsetof(struct sockaddr_un, sun_path)) ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    send(fd, "resume", strlen("resume"), MSG_NOSIGNAL) < 0)
		return -errno;
	len = recv(fd, words, sizeof(words) - 1, 0);
	if (len < 0)
		return -errno;
	return len == 2 && !memcmp(words, "ok", 2) ? 0 : -EALREADY;
}

int control_recover(const struct options *opts)
{
	scoped_fd int fd = -1;
	char words[WORDS_MAX];
	int ret = 0;

	if (!opts->port && !opts->max_bandwidth)
		return log_ret(-EINVAL, "--recover needs --address and --port, or --max-bandwidth");
	ret = connect_daemon(opts, &fd);
	if (!ret && opts->port) {
		snprintf(words, sizeof(words), "recover %u %s", opts->port,
			 opts->address ? opts->address : "127.0.0.1");
		ret = tell(fd, words);
	}
	if (!ret && opts->max_bandwidth) {
		snprintf(words, sizeof(words), "rate %" PRIu64, (uint64_t)opts->max_bandwidth);
		ret = tell(fd, words);
	}
	return ret;
}
