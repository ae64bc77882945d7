// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "util/log.h"
#include "util/scope.h"

#define DEFAULT_ADDRESS "/var/run/criu_service.socket"

static volatile sig_atomic_t stop;

static void on_stop(int signo)
{
	stop = 1;
}

/* Anyone may connect: what a client may do is decided by us, and we serve only those who have our
 * rights. */
static int start_listening(const char *address, int *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(address) >= sizeof(addr.sun_path))
		return log_ret(-ENAMETOOLONG, "service: socket %s", address);
	strcpy(addr.sun_path, address);
	if (fd < 0)
		return log_errno("service: socket");
	if (unlink(address) && errno != ENOENT)
		return log_errno("service: old socket %s", address);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(address, 0600) ||
	    listen(fd, 16))
		return log_errno("service: listen on %s", address);
	*out = take_fd(&fd);
	return 0;
}

static int say_ready(const struct options *opts)
{
	scoped_file FILE *file = opts->pidfile ? fopen(opts->pidfile, "we") : NULL;

	if (opts->pidfile && (!file || fprintf(file, "%d", getpid()) < 0))
		return log_errno("pidfile %s", opts->pidfile);
	if (opts->status_fd >= 0) {
		if (write(opts->status_fd, "", 1) != 1)
			log_warn("status descriptor %d: nobody reads it", opts->status_fd);
		close(opts->status_fd);
	}
	return 0;
}

static void serve_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid = fd < 0 ? -1 : fork();

	if (pid == 0) {
		close(listener);
		signal(SIGCHLD, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		_exit(rpc_serve(fd) ? 1 : 0);
	}
	if (fd >= 0 && pid < 0)
		log_err("service: fork: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

int rpc_service(const struct options *opts)
{
	const char *address = opts->address ? opts->address : DEFAULT_ADDRESS;
	struct sigaction on_term = { .sa_handler = on_stop };
	scoped_fd int listener = -1;
	int ret = start_listening(address, &listener);

	if (!ret && opts->daemon && daemon(1, 0))
		ret = log_errno("service: go to the background");
	if (!ret)
		ret = say_ready(opts);
	if (ret)
		return ret;
	signal(SIGCHLD, SIG_IGN);
	sigaction(SIGTERM, &on_term, NULL);
	sigaction(SIGINT, &on_term, NULL);
	while (!stop)
		serve_client(listener);
	unlink(address);
	return 0;
}
