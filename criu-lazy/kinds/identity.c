// SPDX-License-Identifier: GPL-2.0
#include "kinds/identity.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <search.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/log.h"
#include "util/scope.h"

struct identity_node {
	struct identity_key key;
	uint32_t id;
	int *error; /* of the tree: a comparison cannot fail otherwise */
};

struct identity {
	void *root;
	int error;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* kcmp(2) orders: 0 equal, 1 less, 2 greater, in an order that is stable until reboot. */
static int compare_descriptions(const struct identity_node *a, const struct identity_node *b)
{
	long ret = syscall(SYS_kcmp, a->key.host_pid, b->key.host_pid, KCMP_FILE,
			   (unsigned long)a->key.number, (unsigned long)b->key.number);

	if (ret >= 0 && ret <= 2)
		return ret == 0 ? 0 : ret == 1 ? -1 : 1;
	*a->error = ret < 0 ? -errno : -EINVAL;
	log_ret(*a->error, "task %d fd %d against task %d fd %d: kcmp", a->key.host_pid,
		a->key.number, b->key.host_pid, b->key.number);
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct identity_node *a = left, *b = right;
	int ret = compare_numbers(a->key.dev, b->key.dev);

	if (!ret)
		ret = compare_numbers(a->key.ino, b->key.ino);
	if (!ret)
		ret = compare_numbers(a->key.flags, b->key.flags);
	if (ret || *a->error)
		return ret;
	return compare_descriptions(a, b);
}

int identity_new(struct identity **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : log_ret(-ENOMEM, "identities of files");
}

void identity_free(struct identity *identity)
{
	if (!identity)
		return;
	tdestroy(identity->root, free);
	free(identity);
}

int identity_find(struct identity *identity, const struct identity_key *key, uint32_t **id)
{
	scoped_free struct identity_node *node = calloc(1, sizeof(*node));
	struct identity_node **found;

	if (!node)
		return log_ret(-ENOMEM, "identities of files");
	node->key = *key;
	node->error = &identity->error;
	found = tsearch(node, &identity->root, compare);
	if (!found)
		return log_ret(-ENOMEM, "identities of files");
	if (*found == node)
		(void)take_ptr(node);
	*id = &(*found)->id;
	return identity->error;
}
