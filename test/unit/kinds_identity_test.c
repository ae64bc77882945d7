// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds/identity.h"
#include "unit.h"

enum { OBJECTS = 64 };

static struct identity_key key_of(int fd)
{
	struct identity_key key = { .host_pid = getpid(), .number = fd };
	struct stat st;

	check_eq(fstat(fd, &st), 0);
	key.dev = st.st_dev;
	key.ino = st.st_ino;
	key.flags = (uint32_t)fcntl(fd, F_GETFL);
	return key;
}

static uint32_t *find(struct identity *identity, int fd)
{
	struct identity_key key = key_of(fd);
	uint32_t *id = NULL;

	check_eq(identity_find(identity, &key, &id), 0);
	check(id);
	return id;
}

/* Eventfds share one inode: only kcmp tells them apart. */
int main(void)
{
	struct identity *identity;
	int fds[OBJECTS], copies[OBJECTS];

	check_eq(identity_new(&identity), 0);
	for (int i = 0; i < OBJECTS; i++) {
		fds[i] = i % 3 ? eventfd(0, 0) : open("/dev/null", i % 2 ? O_RDONLY : O_RDWR);
		copies[i] = dup(fds[i]);
		check(fds[i] >= 0 && copies[i] >= 0);
	}
	for (int i = 0; i < OBJECTS; i++) {
		uint32_t *id = find(identity, fds[i]);

		check_eq(*id, 0);
		*id = (uint32_t)i + 1;
	}
	for (int i = 0; i < OBJECTS; i++) {
		check_eq(*find(identity, copies[i]), i + 1);
		check_eq(*find(identity, fds[i]), i + 1);
	}
	identity_free(identity);
	identity_free(NULL);
	return 0;
}
