// SPDX-License-Identifier: GPL-2.0
/* Listening sockets: a path, an abstract name; accepted connections; one that waits in the backlog.
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static socklen_t address(struct sockaddr_un *un, const char *name, bool is_abstract)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path + is_abstract, name, strlen(name));
	return offsetof(struct sockaddr_un, sun_path) + is_abstract + strlen(name) + !is_abstract;
}

static int make(const struct sockaddr_un *un, socklen_t len, bool is_client)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (is_client)
		require(!connect(fd, (const void *)un, len), "connect");
	else
		require(!bind(fd, (const void *)un, len) && !listen(fd, 7), "listen");
	return fd;
}

static void require_talk(int a, int b)
{
	char buf[8] = "";

	require(write(a, "ping", 4) == 4 && read(b, buf, 4) == 4 && !memcmp(buf, "ping", 4),
		"talk");
}

static void require_name(int fd, const struct sockaddr_un *un, socklen_t wanted, bool is_peer)
{
	struct sockaddr_un got;
	socklen_t len = sizeof(got);
	int ret =
		is_peer ? getpeername(fd, (void *)&got, &len) : getsockname(fd, (void *)&got, &len);

	require(!ret && len == wanted && !memcmp(&got, un, len), "name of %u bytes", len);
}

int main(int argc, char **argv)
{
	struct sockaddr_un path_name, abstract_name;
	socklen_t path_len, abstract_len;
	int by_path, by_name, client[3], accepted[2], waiting, last;
	char path[512];
	struct stat st;

	victim_begin(argc, argv);
	victim_path(path, sizeof(path), "sock");
	if (strlen(path) >= sizeof(path_name.sun_path))
		victim_skip("the prefix is too long for a socket");
	unlink(path);
	path_len = address(&path_name, path, false);
	abstract_len = address(&abstract_name, path, true);
	by_path = make(&path_name, path_len, false);
	require(!chmod(path, 0600), "chmod");
	by_name = make(&abstract_name, abstract_len, false);
	client[0] = make(&path_name, path_len, true);
	accepted[0] = accept(by_path, NULL, NULL);
	client[1] = make(&abstract_name, abstract_len, true);
	accepted[1] = accept(by_name, NULL, NULL);
	require(accepted[0] >= 0 && accepted[1] >= 0, "accept");
	client[2] = make(&path_name, path_len, true);
	victim_ready();

	for (int i = 0; i < 2; i++) {
		require_talk(client[i], accepted[i]);
		require_talk(accepted[i], client[i]);
	}
	require_name(accepted[0], &path_name, path_len, false);
	require_name(client[0], &path_name, path_len, true);
	require_name(accepted[1], &abstract_name, abstract_len, false);
	require_name(by_name, &abstract_name, abstract_len, false);
	waiting = accept(by_path, NULL, NULL);
	require(waiting >= 0, "accept who waited");
	require_talk(client[2], waiting);
	last = make(&path_name, path_len, true);
	waiting = accept(by_path, NULL, NULL);
	require(waiting >= 0, "a new client");
	require_talk(last, waiting);
	last = make(&abstract_name, abstract_len, true);
	require(accept(by_name, NULL, NULL) >= 0, "a new client by abstract name");
	require(!stat(path, &st) && (st.st_mode & 0777) == 0600, "mode %o", st.st_mode);
	require(!unlink(path), "unlink");
	victim_pass();
}
