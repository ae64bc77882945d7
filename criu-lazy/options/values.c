// SPDX-License-Identifier: GPL-2.0
#include "options/values.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "rpc.pb-c.h"
#include "util/log.h"

int value_parse_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!text || !*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value) || value > max)
			return -EINVAL;
	}
	*out = value;
	return 0;
}

int value_parse_size(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMG";
	size_t len = text ? strlen(text) : 0;
	const char *suffix = len ? strchr(suffixes, text[len - 1]) : NULL;
	char digits[24];
	int ret;

	if (!suffix)
		return value_parse_number(text, UINT64_MAX, out);
	if (len > sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len - 1);
	digits[len - 1] = '\0';
	ret = value_parse_number(digits, UINT64_MAX >> 30, out);
	if (!ret)
		*out <<= 10 * (suffix - suffixes + 1);
	return ret;
}

int string_list_add(struct string_list *list, const char *text)
{
	char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count] = strdup(text);
	if (!items[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

/* -v, -vv (value "v"), -v4 (value "4"), --verbosity, --verbosity=4; and -verbosity=4, which scripts
 * written for criu use: there it is -v with the value "erbosity=4". */
int apply_verbosity(struct options *opts, const char *value)
{
	static const char rest_of_word[] = "erbosity=";
	uint64_t level;

	if (value && !strncmp(value, rest_of_word, strlen(rest_of_word)))
		value += strlen(rest_of_word);
	if (!value)
		level = opts->verbosity + 1;
	else if (*value && value[strspn(value, "v")] == '\0')
		level = opts->verbosity + 1 + strlen(value);
	else if (value_parse_number(value, 1000, &level))
		return -EINVAL;
	opts->verbosity = level > LOG_LEVEL_DEBUG ? LOG_LEVEL_DEBUG : level;
	return 0;
}

int apply_leave_stopped(struct options *opts, const char *value)
{
	opts->final_state = FINAL_STOPPED;
	return 0;
}

int apply_leave_running(struct options *opts, const char *value)
{
	if (opts->final_state != FINAL_STOPPED)
		opts->final_state = FINAL_RUNNING;
	return 0;
}

struct word {
	const char *text;
	unsigned int value;
};

static int find_word(const struct word *words, size_t count, const char *text, size_t len,
		     unsigned int *out)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(words[i].text) != len || strncmp(words[i].text, text, len) != 0)
			continue;
		*out = words[i].value;
		return 0;
	}
	return -EINVAL;
}

#define FIND_WORD(words, text, len, out) \
	find_word(words, sizeof(words) / sizeof((words)[0]), text, len, out)

/* Sets an enum by the word for it; without one it stays as it is. */
#define SET_WORD(words, text, field)                                      \
	({                                                                \
		unsigned int value_;                                      \
		int ret_ = FIND_WORD(words, text, strlen(text), &value_); \
                                                                          \
		if (!ret_)                                                \
			(field) = (__typeof__(field))value_;              \
		ret_;                                                     \
	})

/* The values are criu's: RPC clients send the mask as a number. */
int apply_cpu_cap(struct options *opts, const char *value)
{
	static const struct word caps[] = {
		{ "none", 0 }, { "fpu", 1 }, { "cpu", 2 }, { "ins", 4 }, { "all", ~0U },
	};
	unsigned int mask = 0, bits;

	if (!value) {
		opts->cpu_cap = ~0U;
		return 0;
	}
	while (*value) {
		bool without = *value == '^';
		size_t len = strcspn(value += without, ",");

		if (FIND_WORD(caps, value, len, &bits))
			return -EINVAL;
		mask = without ? mask & ~bits : bits ? mask | bits : 0;
		value += len + (value[len] == ',');
	}
	opts->cpu_cap = mask;
	return 0;
}

int apply_manage_cgroups(struct options *opts, const char *value)
{
	static const struct word modes[] = {
		{ "ignore", CRIU_CG_MODE__IGNORE }, { "none", CRIU_CG_MODE__CG_NONE },
		{ "props", CRIU_CG_MODE__PROPS },   { "soft", CRIU_CG_MODE__SOFT },
		{ "full", CRIU_CG_MODE__FULL },	    { "strict", CRIU_CG_MODE__STRICT },
	};

	if (!value) {
		opts->manage_cgroups = CRIU_CG_MODE__SOFT;
		return 0;
	}
	return FIND_WORD(modes, value, strlen(value), &opts->manage_cgroups);
}

int apply_network_lock(struct options *opts, const char *value)
{
	static const struct word methods[] = {
		{ "iptables", CRIU_NETWORK_LOCK_METHOD__IPTABLES },
		{ "nftables", CRIU_NETWORK_LOCK_METHOD__NFTABLES },
		{ "skip", CRIU_NETWORK_LOCK_METHOD__SKIP },
	};

	return FIND_WORD(methods, value, strlen(value), &opts->network_lock);
}

int apply_empty_ns(struct options *opts, const char *value)
{
	if (strcmp(value, "net") != 0)
		return -EINVAL;
	opts->empty_ns |= CLONE_NEWNET;
	return 0;
}

int apply_pre_dump_mode(struct options *opts, const char *value)
{
	return strcmp(value, "splice") && strcmp(value, "read") ? -EINVAL : 0;
}

int apply_file_validation(struct options *opts, const char *value)
{
	if (strcmp(value, "filesize") != 0 && strcmp(value, "buildid") != 0)
		return -EINVAL;
	free(opts->file_validation);
	opts->file_validation = strdup(value);
	return opts->file_validation ? 0 : -ENOMEM;
}

int apply_on_daemon_loss(struct options *opts, const char *value)
{
	static const struct word policies[] = {
		{ "restart", DAEMON_LOSS_RESTART },
		{ "hold", DAEMON_LOSS_HOLD },
		{ "kill", DAEMON_LOSS_KILL },
	};

	return SET_WORD(policies, value, opts->on_daemon_loss);
}

int apply_memory_mode(struct options *opts, const char *value)
{
	static const struct word modes[] = {
		{ "working-set", MEMORY_MODE_WORKING_SET },
		{ "background", MEMORY_MODE_BACKGROUND },
		{ "demand", MEMORY_MODE_DEMAND },
	};

	return SET_WORD(modes, value, opts->memory_mode);
}

int apply_compress(struct options *opts, const char *value)
{
	static const struct word modes[] = {
		{ "auto", COMPRESS_AUTO },
		{ "lz4", COMPRESS_LZ4 },
		{ "none", COMPRESS_NONE },
	};

	return SET_WORD(modes, value, opts->compress);
}

int apply_nothing(struct options *opts, const char *value)
{
	return 0;
}
