// SPDX-License-Identifier: GPL-2.0
#include "transport/page_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options/options.h"
#include "transport/channel.h"
#include "transport/net.h"
#include "transport/provider.h"
#include "transport/receive.h"
#include "transport/server.h"
#include "transport/tls.h"
#include "transport/token.h"
#include "util/log.h"
#include "util/scope.h"

enum { HANDSHAKE_MS = 10000 };

static volatile sig_atomic_t stop_signal;

static void note_signal(int sig)
{
	stop_signal = sig;
}

static void watch_signals(void)
{
	const struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static int open_images(const struct options *opts, struct image_dir **out)
{
	int fd = -1;

	if (opts->images_dir_fd >= 0) {
		fd = fcntl(opts->images_dir_fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return log_errno("images directory: descriptor %d", opts->images_dir_fd);
	}
	return image_dir_open(fd >= 0 ? NULL : opts->images_dir, fd, out);
}

static int leave_terminal(void)
{
	scoped_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return log_errno("open /dev/null");
	for (int fd = 0; fd <= 2; fd++) {
		if (dup2(null, fd) < 0)
			return log_errno("standard descriptor %d", fd);
	}
	return 0;
}

/* Listening already; nobody waits for us in vain from now on. */
static int say_ready(const struct options *opts)
{
	scoped_file FILE *file = NULL;

	/* The status descriptor may be one of the standard ones. */
	if (opts->daemon && daemon(1, 1))
		return log_errno("page server: go to the background");
	if (opts->pidfile) {
		file = fopen(opts->pidfile, "we");
		if (!file || fprintf(file, "%d", getpid()) < 0)
			return log_errno("pidfile %s", opts->pidfile);
	}
	if (opts->status_fd >= 0) {
		if (write(opts->status_fd, "", 1) != 1)
			log_warn("status descriptor %d: nobody reads it", opts->status_fd);
		close(opts->status_fd);
	}
	return opts->daemon ? leave_terminal() : 0;
}

/* ---- serving ------------------------------------------------------------------- */

static int serve(const struct options *opts, struct image_dir *images, struct provider *pages)
{
	struct token token;
	struct server_params params = {
		.opts = opts,
		.pages = pages,
		.ends_when_done = !opts->keep_serving,
		.stopped = &stop_signal,
	};
	struct server *server;
	int ret = token_load(images, &token);

	if (ret && ret != -ENOENT)
		return ret;
	params.token = ret ? NULL : &token;
	ret = provider_add_images(pages, images);
	if (ret)
		return ret;
	provider_seal(pages);
	ret = server_new(&params, &server);
	if (ret)
		return ret;
	ret = say_ready(opts);
	if (!ret)
		ret = server_run(server);
	server_free(server);
	if (ret != -EINTR)
		return ret;
	log_info("page server: stopped by signal %d", (int)stop_signal);
	return 0; /* the images are as they were */
}

static int serve_images(const struct options *opts, struct image_dir *images)
{
	struct provider *pages;
	int ret = provider_new(&pages);

	if (ret)
		return ret;
	ret = serve(opts, images, pages);
	provider_free(pages);
	return ret;
}

/* ---- receiving ------------------------------------------------------------------ */

/* The one connection. -EINTR: stopped. */
static int accept_sender(int listen_fd)
{
	while (!stop_signal) {
		struct pollfd fds = { .fd = listen_fd, .events = POLLIN };
		int fd;

		if (poll(&fds, 1, 200) <= 0)
			continue;
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return log_ret(-EINTR, "page server: stopped by signal %d", (int)stop_signal);
}

static int get_sender(const struct options *opts)
{
	scoped_fd int listen_fd = -1;
	int fd, ret;

	if (opts->ps_socket >= 0) {
		fd = fcntl(opts->ps_socket, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return log_errno("descriptor %d", opts->ps_socket);
		ret = say_ready(opts);
		return ret ? ret : fd;
	}
	listen_fd = net_listen(opts->address, opts->port);
	if (listen_fd < 0)
		return listen_fd;
	log_info("page server: listens on port %u", net_port(listen_fd));
	ret = say_ready(opts);
	return ret ? ret : accept_sender(listen_fd);
}

static int receive_dump(const struct options *opts, struct image_dir *images)
{
	struct tls_context *tls;
	struct channel *channel;
	int ret = tls_context_new(opts, &tls), fd;

	if (ret)
		return ret;
	fd = get_sender(opts);
	ret = fd < 0 ? fd : channel_new(fd, &channel);
	if (!ret) {
		if (tls)
			ret = channel_start_tls(channel, tls, true, NULL, HANDSHAKE_MS);
		if (!ret)
			ret = receive_serve(images, channel, &stop_signal);
		channel_free(channel);
	}
	tls_context_free(tls);
	return ret;
}

int page_server_run(const struct options *opts)
{
	struct image_dir *images;
	int ret = open_images(opts, &images);

	if (ret)
		return ret;
	watch_signals();
	ret = opts->lazy_pages ? serve_images(opts, images) : receive_dump(opts, images);
	image_dir_close(images);
	return ret;
}
