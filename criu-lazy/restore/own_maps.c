// SPDX-License-Identifier: GPL-2.0
#include "restore/own_maps.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

/* One line "START-END ..."; *line moves to the next. */
static bool next_area(const char **line, struct hole_area *area, const char **name)
{
	char *end;
	const char *newline;

	if (!**line)
		return false;
	area->start = strtoull(*line, &end, 16);
	if (*end != '-')
		return false;
	area->end = strtoull(end + 1, &end, 16);
	newline = strchr(end, '\n');
	*name = memchr(end, '[', newline ? (size_t)(newline - end) : strlen(end));
	*line = newline ? newline + 1 : end + strlen(end);
	return true;
}

static int read_text(struct text *text)
{
	int ret = text_read_at(AT_FDCWD, "/proc/self/maps", text);

	return ret ? log_ret(ret, "/proc/self/maps") : 0;
}

int own_maps_read(struct hole_area **areas, size_t *count, size_t extra)
{
	scoped_text struct text text = { 0 };
	const char *line, *name;
	size_t lines = 0;
	int ret = read_text(&text);

	if (ret)
		return ret;
	for (line = text.data; *line; line++)
		lines += *line == '\n';
	*areas = calloc(lines + extra + 1, sizeof(**areas));
	if (!*areas)
		return -ENOMEM;
	line = text.data;
	*count = 0;
	while (*count < lines && next_area(&line, &(*areas)[*count], &name))
		(*count)++;
	return 0;
}

int own_vdso_find(struct own_vdso *vdso)
{
	scoped_text struct text text = { 0 };
	const char *line, *name;
	struct hole_area area;
	int ret = read_text(&text);

	*vdso = (struct own_vdso){ 0 };
	if (ret)
		return ret;
	line = text.data;
	while (next_area(&line, &area, &name)) {
		bool is_data = name && !strncmp(name, "[vvar", 5);
		bool is_code = name && !strncmp(name, "[vdso]", 6);

		if (!is_data && !is_code)
			continue;
		if (vdso->count == OWN_VDSO_AREAS ||
		    (vdso->count && vdso->areas[vdso->count - 1].end != area.start)) {
			log_err("/proc/self/maps: the vDSO lies in an unknown way");
			return -EOPNOTSUPP;
		}
		vdso->areas[vdso->count++] = area;
		if (is_code)
			return 0;
	}
	vdso->count = 0;
	return 0;
}

uint64_t own_vdso_bytes(const struct own_vdso *vdso)
{
	return vdso->count ? vdso->areas[vdso->count - 1].end - vdso->areas[0].start : 0;
}
