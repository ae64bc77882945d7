// SPDX-License-Identifier: GPL-2.0
/* The tree after GO: what keeps it from running here even when the dump is killed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/source.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

struct pids {
	pid_t *items;
	size_t count;
};

static int add(struct pids *pids, pid_t pid)
{
	pid_t *grown = realloc(pids->items, (pids->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	pids->items = grown;
	pids->items[pids->count++] = pid;
	return 0;
}

/* Children of every thread of pid, at the end of the list. */
static int add_children(struct pids *pids, pid_t pid)
{
	scoped_text struct text text = { 0 };
	const struct dirent *entry;
	char path[64];
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	scoped_dir DIR *dir = opendir(path);

	while (dir && !ret && (entry = readdir(dir))) {
		char *at;
		long child;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.12s/children", pid, entry->d_name);
		if (text_read_at(AT_FDCWD, path, &text))
			continue;
		for (at = text.data; !ret && (child = strtol(at, &at, 10)) > 0;)
			ret = add(pids, (pid_t)child);
	}
	return ret;
}

static int list_tree(pid_t root, struct pids *pids)
{
	int ret = add(pids, root);

	for (size_t i = 0; !ret && i < pids->count; i++)
		ret = add_children(pids, pids->items[i]);
	return ret;
}

static bool is_stopped(pid_t pid)
{
	scoped_text struct text text = { 0 };
	const char *state;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (text_read_at(AT_FDCWD, path, &text))
		return false;
	state = strrchr(text.data, ')');
	return state && strlen(state) > 2 && state[2] == 'T';
}

int source_note_stopped(struct source *source)
{
	struct pids tree = { 0 }, stopped = { 0 };
	int ret = list_tree(source->opts->tree_pid, &tree);

	for (size_t i = 0; !ret && i < tree.count; i++)
		ret = is_stopped(tree.items[i]) ? add(&stopped, tree.items[i]) : 0;
	free(tree.items);
	source->stopped = stopped.items;
	source->nr_stopped = stopped.count;
	return ret;
}

static bool was_stopped(const struct source *source, pid_t pid)
{
	for (size_t i = 0; i < source->nr_stopped; i++) {
		if (source->stopped[i] == pid)
			return true;
	}
	return false;
}

static void signal_tree(const struct source *source, int sig)
{
	struct pids tree = { 0 };

	if (list_tree(source->opts->tree_pid, &tree))
		log_warn("signal %d: not all of the tree gets it", sig);
	for (size_t i = 0; i < tree.count; i++) {
		if (!was_stopped(source, tree.items[i]))
			kill(tree.items[i], sig);
	}
	free(tree.items);
}

void source_bar_tree(struct source *source)
{
	/* With keepers it has ended, and its pids may be the restored one's. */
	if (source->shares_pids)
		return;
	signal_tree(source, SIGSTOP);
	source->is_barred = true;
}

void source_unbar_tree(struct source *source)
{
	if (source->is_barred)
		signal_tree(source, SIGCONT);
	source->is_barred = false;
}
