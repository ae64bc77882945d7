// SPDX-License-Identifier: GPL-2.0
#include "lazy/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lazy/engine.h"
#include "lazy/remote.h"
#include "util/clock.h"
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
	/* Its number is the supervisor's and of a daemon that may follow: it stays open. */
	epoll_ctl(lazyd->epoll_fd, EPOLL_CTL_DEL, lazyd->control_fd, NULL);
}

static int obey(struct lazyd *lazyd, const char *words)
{
	unsigned int port;
	uint64_t rate;
	int at = 0;

	if (!strcmp(words, "restored")) {
		lazyd->is_restored = true;
		lazyd->background_after = clock_ns() + FIRST_STEPS_NS;
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
	int reply_fd; /* where the answer goes; -1: nobody wants one */
};

static int take_descriptor(struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
	    part->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(part), sizeof(fd));
	return fd;
}

static bool receive(int fd, struct letter *letter)
{
	_Alignas(struct cmsghdr) char rights[CMSG_SPACE(sizeof(int))];
	struct iovec text = { letter->words, WORDS_MAX };
	struct msghdr message = { .msg_iov = &text,
				  .msg_iovlen = 1,
				  .msg_control = rights,
				  .msg_controllen = sizeof(rights) };
	ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (len < 0)
		return false;
	letter->reply_fd = take_descriptor(&message);
	letter->words[len] = '\0';
	return true;
}

static void reply(const struct letter *letter, const char *words)
{
	if (letter->reply_fd < 0)
		return;
	if (send(letter->reply_fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("answer: %s", strerror(errno));
	close(letter->reply_fd);
}

void control_ready(struct lazyd *lazyd)
{
	struct letter letter;
	int ret;

	if (!receive(lazyd->control_fd, &letter))
		return;
	ret = obey(lazyd, letter.words);
	log_info("told \"%s\": %s", letter.words, ret ? strerror(-ret) : "ok");
	reply(&letter, ret ? strerror(-ret) : "ok");
}

bool control_hears_resume(int fd)
{
	struct letter letter;
	bool is_resume;

	if (!receive(fd, &letter))
		return false;
	is_resume = !strcmp(letter.words, "resume");
	reply(&letter, is_resume ? "ok" : "the daemon is dead and its tasks wait");
	return is_resume;
}

/* ---- the other side -------------------------------------------------------------- */

static int connect_daemon(int work_dir, int *out)
{
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;

	name_socket(work_dir, &addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

/* With a descriptor to answer to: a socket's own name ends at the border of a network namespace. */
static int send_words(int fd, const char *words, int reply_fd)
{
	_Alignas(struct cmsghdr) char rights[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec text = { (char *)words, strlen(words) };
	struct msghdr message = { .msg_iov = &text,
				  .msg_iovlen = 1,
				  .msg_control = rights,
				  .msg_controllen = sizeof(rights) };
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(reply_fd));
	memcpy(CMSG_DATA(part), &reply_fd, sizeof(reply_fd));
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The answer, of at most size - 1 bytes; -ECONNRESET: it ended instead. */
static int ask(int fd, const char *words, char *answer, size_t size)
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	scoped_fd int ours = -1;
	int pair[2], ret;
	ssize_t len;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ours = pair[0];
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(ours, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ret = send_words(fd, words, pair[1]);
	close(pair[1]);
	if (ret)
		return ret;
	len = recv(ours, answer, size - 1, 0);
	if (len <= 0)
		return len ? -errno : -ECONNRESET;
	answer[len] = '\0';
	return 0;
}

static int tell(int fd, const char *words)
{
	char answer[128];
	int ret = ask(fd, words, answer, sizeof(answer));

	if (ret)
		return log_ret(ret, "lazy-pages daemon: no answer");
	return strcmp(answer, "ok") ? log_ret(-EINVAL, "lazy-pages daemon: %s", answer) : 0;
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
	scoped_fd int fd = -1;
	char answer[128];
	int ret = connect_daemon(work_dir, &fd);

	if (!ret)
		ret = ask(fd, "resume", answer, sizeof(answer));
	if (ret)
		return ret;
	return strcmp(answer, "ok") ? -EALREADY : 0;
}

int control_recover(const struct options *opts)
{
	const char *work = opts->work_dir     ? opts->work_dir
			   : opts->images_dir ? opts->images_dir
					      : ".";
	scoped_fd int dir = -1, fd = -1;
	char words[WORDS_MAX];
	int ret = 0;

	if (!opts->port && !opts->max_bandwidth)
		return log_ret(-EINVAL, "--recover needs --address and --port, or --max-bandwidth");
	dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return log_errno("work directory %s", work);
	ret = connect_daemon(dir, &fd);
	if (ret)
		return log_ret(ret, "%s/%s: no lazy-pages daemon is here", work,
			       CONTROL_SOCKET_NAME);
	if (opts->port) {
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
