// SPDX-License-Identifier: GPL-2.0
/* Applying one row, and the life of struct options. */
#include "options/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "options/table.h"
#include "options/values.h"
#include "rpc.pb-c.h"
#include "util/log.h"

enum { DEFAULT_GHOST_LIMIT = 1 << 20, DEFAULT_TIMEOUT = 10, DEFAULT_SOURCE_TIMEOUT = 300 };

void options_init(struct options *opts)
{
	*opts = (struct options){
		.images_dir_fd = -1,
		.work_dir_fd = -1,
		.ps_socket = -1,
		.status_fd = -1,
		.verbosity = LOG_LEVEL_WARN,
		.ghost_limit = DEFAULT_GHOST_LIMIT,
		.timeout = DEFAULT_TIMEOUT,
		.source_timeout = DEFAULT_SOURCE_TIMEOUT,
		.cpu_cap = ~0U,
		.manage_cgroups = CRIU_CG_MODE__DEFAULT,
		.network_lock = CRIU_NETWORK_LOCK_METHOD__IPTABLES,
	};
}

static void string_list_fini(struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct string_list){ 0 };
}

void options_fini(struct options *opts)
{
	for (size_t i = 0; i < option_count; i++) {
		void *member = (char *)opts + option_table[i].offset;

		if (option_table[i].type == OPTION_STRING) {
			free(*(char **)member);
			*(char **)member = NULL;
		} else if (option_table[i].type == OPTION_LIST) {
			string_list_fini(member);
		}
	}
	free(opts->file_validation);
	free(opts->command);
	string_list_fini(&opts->words);
	string_list_fini(&opts->accepted);
	options_init(opts);
}

static int match_name(const char *name, size_t len, const struct option_spec **out)
{
	const struct option_spec *found = NULL;

	for (size_t i = 0; i < option_count; i++) {
		if (strncmp(option_table[i].name, name, len) != 0)
			continue;
		if (option_table[i].name[len] == '\0') {
			*out = &option_table[i];
			return 0;
		}
		if (found)
			found = &option_table[option_count];
		else
			found = &option_table[i];
	}
	if (!found || !len)
		return -ENOENT;
	if (found == &option_table[option_count])
		return -E2BIG;
	*out = found;
	return 0;
}

int option_find(const char *name, size_t len, const struct option_spec **out, bool *negated)
{
	int ret = match_name(name, len, out);

	*negated = false;
	if (ret != -ENOENT || len <= 3 || strncmp(name, "no-", 3) != 0)
		return ret;
	ret = match_name(name + 3, len - 3, out);
	if (!ret && (*out)->type != OPTION_FLAG)
		return -ENOENT;
	*negated = true;
	return ret;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += len)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

const struct option_spec *option_find_letter(char letter, const char *command)
{
	const struct option_spec *general = NULL;

	for (size_t i = 0; letter && i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];

		if (spec->letter != letter)
			continue;
		if (!spec->commands)
			general = spec;
		else if (command && has_word(spec->commands, command))
			return spec;
	}
	return general;
}

static int set_number(void *member, enum option_type type, const char *value)
{
	static const uint64_t max[] = {
		[OPTION_UINT] = UINT_MAX,
		[OPTION_PID] = INT_MAX,
		[OPTION_FD] = INT_MAX,
		[OPTION_PORT] = UINT16_MAX,
	};
	uint64_t number;
	int ret;

	if (type == OPTION_SIZE)
		ret = value_parse_size(value, &number);
	else
		ret = value_parse_number(value, max[type], &number);
	if (ret || (type == OPTION_PID && !number))
		return -EINVAL;
	if (type == OPTION_SIZE)
		*(uint64_t *)member = number;
	else if (type == OPTION_PORT)
		*(uint16_t *)member = number;
	else
		*(unsigned int *)member = number;
	return 0;
}

static int set_string(char **member, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

static int set_member(struct options *opts, const struct option_spec *spec, const char *value,
		      bool negated)
{
	void *member = (char *)opts + spec->offset;

	switch (spec->type) {
	case OPTION_FLAG:
		*(bool *)member = !negated;
		return 0;
	case OPTION_STRING:
		return set_string(member, value);
	case OPTION_LIST:
		return string_list_add(member, value);
	case OPTION_CALL:
		return spec->apply(opts, value);
	default:
		return set_number(member, spec->type, value);
	}
}

int option_apply(struct options *opts, const struct option_spec *spec, const char *value,
		 bool negated, const char *where)
{
	int ret;

	if (!value && spec->takes == ARGUMENT_REQUIRED) {
		log_err("%s: option --%s needs an argument %s", where, spec->name, spec->arg);
		return -EINVAL;
	}
	if (value && spec->takes == ARGUMENT_NONE) {
		log_err("%s: option --%s takes no argument, but was given %s", where, spec->name,
			value);
		return -EINVAL;
	}
	if (spec->support == OPTION_REFUSED && !negated) {
		log_err("%s: option --%s is not supported yet (%s)", where, spec->name, spec->note);
		return -EOPNOTSUPP;
	}
	ret = set_member(opts, spec, value, negated);
	if (ret == -EINVAL)
		log_err("%s: option --%s: bad value %s", where, spec->name, value ? value : "");
	else if (ret)
		return log_ret(ret, "%s: option --%s", where, spec->name);
	else if (spec->support == OPTION_ACCEPTED && !negated)
		ret = string_list_add(&opts->accepted, spec->name);
	return ret;
}
