// SPDX-License-Identifier: GPL-2.0
#include "transport/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "options/options.h"
#include "transport/net.h"
#include "transport/server_impl.h"
#include "transport/tls.h"
#include "util/log.h"
#include "util/scope.h"

enum { STACK_SIZE = 256 << 10, LOOK_MS = 200 };

void server_wake(struct server *server)
{
	eventfd_write(server->wake_fd, 1);
}

void server_meet(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->has_client = true;
	server_wake(server);
	while (!server->is_met)
		pthread_cond_wait(&server->met, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static void set_met(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->is_met = true;
	pthread_cond_broadcast(&server->met);
	pthread_mutex_unlock(&server->lock);
}

static void look_for_first(struct server *server)
{
	bool is_first;

	pthread_mutex_lock(&server->lock);
	is_first = server->has_client && !server->is_met;
	pthread_mutex_unlock(&server->lock);
	if (!is_first)
		return;
	if (server->params.first_client)
		server->params.first_client(server->params.first_client_arg);
	set_met(server);
}

/* ---- one connection ------------------------------------------------------------ */

/* CRIU's daemon says nothing until it wants a page: then it is met by its silence. */
static int begin(struct connection *connection, struct wire_record *first)
{
	const struct tls_context *tls = connection->server->tls;
	struct channel *channel = connection->channel;
	bool may_be_silent =
		channel_is_local(channel) || tls || connection->server->params.opts->allow_compat;
	int ret = 0;

	if (tls)
		ret = channel_start_tls(channel, tls, true, NULL, SERVER_HELLO_MS);
	if (ret)
		return ret;
	ret = channel_wait(channel, -1, may_be_silent ? SERVER_SILENT_MS : SERVER_HELLO_MS);
	if (ret == -ETIMEDOUT && may_be_silent) {
		server_meet(connection->server);
		ret = channel_wait(channel, -1, -1);
	}
	return ret ? ret : channel_read(channel, first, sizeof(*first), SERVER_HELLO_MS);
}

static void *serve_connection(void *arg)
{
	struct connection *connection = arg;
	struct wire_record first;

	if (!begin(connection, &first)) {
		if (first.cmd == WIRE_HELLO)
			own_serve(connection, &first);
		else
			compat_serve(connection, &first);
	}
	atomic_fetch_add(&connection->server->bytes_out, channel_bytes_out(connection->channel));
	atomic_store(&connection->is_over, true);
	server_wake(connection->server);
	return NULL;
}

static int start_thread(struct connection *connection)
{
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	ret = pthread_create(&connection->thread, &attr, serve_connection, connection);
	pthread_attr_destroy(&attr);
	return -ret;
}

/* Takes fd over. */
static int add_connection(struct server *server, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int ret;

	if (!connection) {
		close(fd);
		return -ENOMEM;
	}
	connection->server = server;
	ret = channel_new(fd, &connection->channel);
	if (!ret) {
		log_debug("client %s: connected", channel_peer(connection->channel));
		ret = start_thread(connection);
		if (ret)
			channel_free(connection->channel);
	}
	if (ret) {
		free(connection);
		return log_ret(ret, "client: no thread for it");
	}
	connection->next = server->connections;
	server->connections = connection;
	server->nr_connections++;
	return 0;
}

static void reap(struct server *server, bool all)
{
	struct connection **link = &server->connections;

	while (*link) {
		struct connection *connection = *link;

		if (!all && !atomic_load(&connection->is_over)) {
			link = &connection->next;
			continue;
		}
		if (all)
			channel_shutdown(connection->channel);
		pthread_join(connection->thread, NULL);
		*link = connection->next;
		server->nr_connections--;
		channel_free(connection->channel);
		free(connection);
	}
}

/* ---- the server ---------------------------------------------------------------- */

static void accept_client(struct server *server)
{
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return; /* the client has given up, or a signal came */
	if (server->nr_connections >= SERVER_CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	add_connection(server, fd);
}

static bool is_stopped(const struct server *server)
{
	return server->params.stopped && *server->params.stopped;
}

int server_run(struct server *server)
{
	if (server->only_fd >= 0 && add_connection(server, take_fd(&server->only_fd)))
		return -ENOMEM;
	while (!is_stopped(server)) {
		struct pollfd fds[] = {
			{ .fd = server->listen_fd, .events = POLLIN },
			{ .fd = server->wake_fd, .events = POLLIN },
		};
		eventfd_t count;

		/* A signal may come just before: so it is not waited for ever. */
		if (poll(fds, 2, LOOK_MS) < 0 && errno != EINTR)
			return log_errno("page server: poll");
		if (fds[1].revents)
			eventfd_read(server->wake_fd, &count);
		if (fds[0].revents & POLLIN)
			accept_client(server);
		look_for_first(server);
		reap(server, false);
		if (server->params.ends_when_done && sessions_are_done(server))
			return 0;
		if (server->listen_fd < 0 && !server->connections)
			return log_ret(-EPIPE, "page server: the only client is gone");
	}
	return -EINTR;
}

/* --ps-socket is a connection, or a socket that listens. */
static int use_socket(struct server *server, int number)
{
	int is_listening = 0, fd = fcntl(number, F_DUPFD_CLOEXEC, 3);
	socklen_t len = sizeof(is_listening);

	if (fd < 0)
		return log_errno("page server: descriptor %d", number);
	if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) && is_listening) {
		server->listen_fd = fd;
		return 0;
	}
	server->only_fd = fd;
	return 0;
}

static int open_sockets(struct server *server)
{
	const struct options *opts = server->params.opts;

	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->wake_fd < 0)
		return log_errno("page server: eventfd");
	if (opts->ps_socket >= 0)
		return use_socket(server, opts->ps_socket);
	server->listen_fd = net_listen(opts->address, opts->port);
	if (server->listen_fd < 0)
		return server->listen_fd;
	log_info("page server: listens on %s port %u", opts->address ? opts->address : "127.0.0.1",
		 net_port(server->listen_fd));
	return 0;
}

int server_new(const struct server_params *params, struct server **out)
{
	struct server *server = calloc(1, sizeof(*server));
	int ret;

	if (!server)
		return -ENOMEM;
	server->params = *params;
	server->listen_fd = server->only_fd = server->wake_fd = -1;
	rate_init(&server->rate, params->opts->max_bandwidth);
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->met, NULL);
	ret = tls_context_new(params->opts, &server->tls);
	if (!ret)
		ret = open_sockets(server);
	if (ret) {
		server_free(server);
		return ret;
	}
	*out = server;
	return 0;
}

uint16_t server_port(const struct server *server)
{
	return server->listen_fd < 0 ? 0 : net_port(server->listen_fd);
}

bool server_has_delivered(const struct server *server)
{
	return atomic_load(&server->has_delivered);
}

void server_stats(struct server *server, struct server_stats *out)
{
	*out = (struct server_stats){
		.clients = atomic_load(&server->clients),
		.demand_pages = atomic_load(&server->demand_pages),
		.bulk_pages = atomic_load(&server->bulk_pages),
		.zero_pages = atomic_load(&server->zero_pages),
		.gone_pages = atomic_load(&server->gone_pages),
		.bytes_out = atomic_load(&server->bytes_out),
	};
}

void server_free(struct server *server)
{
	if (!server)
		return;
	set_met(server); /* nobody is to wait any more */
	reap(server, true);
	sessions_free(server);
	tls_context_free(server->tls);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	if (server->only_fd >= 0)
		close(server->only_fd);
	if (server->wake_fd >= 0)
		close(server->wake_fd);
	rate_fini(&server->rate);
	pthread_cond_destroy(&server->met);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
