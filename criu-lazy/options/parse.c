// SPDX-License-Identifier: GPL-2.0
/*
 * The command line, in two passes: what -d means depends on the command, which may follow it, and
 * config files named on the line come before it. So words are split first and applied afterwards.
 */
#include "options/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options/table.h"
#include "options/values.h"
#include "util/log.h"
#include "util/scope.h"

static const char where[] = "command line";

/* One option as given; letter is looked up when the command is known. */
struct given {
	const struct option_spec *spec;
	const char *value;
	char letter;
	bool negated;
};

struct line {
	struct given *given; /* at most one per character of argv */
	size_t count;
};

static void line_fini(struct line *line)
{
	free(line->given);
}

static int split_long(char **argv, int *at, struct line *line)
{
	const char *name = argv[*at] + 2;
	size_t len = strcspn(name, "=");
	struct given given = { .value = name[len] ? name + len + 1 : NULL };
	int ret = option_find(name, len, &given.spec, &given.negated);

	if (ret == -E2BIG) {
		log_err("%s: option --%.*s is ambiguous", where, (int)len, name);
		return -EINVAL;
	}
	if (ret) {
		log_err("%s: unknown option --%.*s", where, (int)len, name);
		return -EINVAL;
	}
	if (!given.value && given.spec->takes == ARGUMENT_REQUIRED && argv[*at + 1])
		given.value = argv[++*at];
	line->given[line->count++] = given;
	return 0;
}

static int split_letters(char **argv, int *at, struct line *line)
{
	for (const char *letter = argv[*at] + 1; *letter; letter++) {
		const struct option_spec *spec = option_find_letter(*letter, NULL);
		struct given given = { .spec = spec, .letter = *letter };

		if (!spec) {
			log_err("%s: unknown option -%c", where, *letter);
			return -EINVAL;
		}
		if (spec->takes != ARGUMENT_NONE && letter[1]) {
			given.value = letter + 1;
			letter += strlen(letter) - 1;
		} else if (spec->takes == ARGUMENT_REQUIRED && argv[*at + 1]) {
			given.value = argv[++*at];
		}
		line->given[line->count++] = given;
	}
	return 0;
}

static int split_word(const char *word, struct options *opts)
{
	if (opts->command)
		return string_list_add(&opts->words, word);
	opts->command = strdup(word);
	return opts->command ? 0 : -ENOMEM;
}

static int split_line(int argc, char **argv, struct options *opts, struct line *line)
{
	size_t max = 1;
	int ret = 0;

	for (int i = 1; i < argc; i++)
		max += strlen(argv[i]);
	line->given = calloc(max, sizeof(*line->given));
	if (!line->given)
		return -ENOMEM;
	for (int i = 1; i < argc && !ret; i++) {
		if (!strcmp(argv[i], "--")) {
			opts->exec_cmd = argv + i + 1;
			return 0;
		}
		if (!strncmp(argv[i], "--", 2))
			ret = split_long(argv, &i, line);
		else if (argv[i][0] == '-' && argv[i][1])
			ret = split_letters(argv, &i, line);
		else
			ret = split_word(argv[i], opts);
	}
	return ret;
}

static int apply_given(const struct given *given, struct options *opts)
{
	const struct option_spec *spec = given->spec;

	if (given->letter)
		spec = option_find_letter(given->letter, opts->command);
	return option_apply(opts, spec, given->value, given->negated, where);
}

/* The options that say where other options are come first. */
static int apply_files(const struct line *line, struct options *opts)
{
	const char *env = getenv("CRIU_CONFIG_FILE");
	const char *named = NULL;
	bool defaults = true;
	int ret = 0;

	for (size_t i = 0; i < line->count; i++) {
		if (!strcmp(line->given[i].spec->name, "config"))
			named = line->given[i].value;
		else if (!strcmp(line->given[i].spec->name, "no-default-config"))
			defaults = false;
	}
	if (defaults)
		ret = options_read_default_files(opts);
	if (!ret && env && *env)
		ret = options_read_file(env, opts);
	if (ret && ret != -ENOENT)
		return ret;
	ret = named ? options_read_file(named, opts) : 0;
	if (ret == -ENOENT)
		return log_ret(ret, "config file %s", named);
	return ret;
}

int options_parse(int argc, char **argv, struct options *opts)
{
	__attribute__((cleanup(line_fini))) struct line line = { 0 };
	int ret = split_line(argc, argv, opts, &line);

	if (!ret)
		ret = apply_files(&line, opts);
	for (size_t i = 0; i < line.count && !ret; i++)
		ret = apply_given(&line.given[i], opts);
	return ret;
}
