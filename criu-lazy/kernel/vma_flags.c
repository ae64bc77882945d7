// SPDX-License-Identifier: GPL-2.0
#include "kernel/vma_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/vma_iter.h"
#include "util/scope.h"
#include "util/text.h"

enum { PAGE = 4096, SLOT = 4 * PAGE, CLASSES_MAX = 256, TRIES = 4 };

/* Of areas that have these, smaps says more than VmFlags, or they are somebody else's. */
#define NOT_LEARNT (VMA_HUGETLB | VMA_UFFD | VMA_LOCKED | VMA_LOCK_ON_FAULT)

struct class
{
	uint64_t raw;
	uint32_t flags;
};

struct vma_flags {
	struct vma_iter *iter;
	struct class classes[CLASSES_MAX];
	size_t count;
};

/* ---- areas to learn from --------------------------------------------------------- */

enum { RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXEC, RWX = RW | PROT_EXEC };

/* Made with `born`, then changed to `prot`: not the same as made with it, for what was writable
 * once has memory promised. */
static const struct {
	int born, prot;
} protections[] = {
	{ PROT_NONE, PROT_NONE }, { RW, RW }, { RW, PROT_READ },
	{ RW, PROT_NONE },	  { RW, RX }, { RW, RWX },
	{ PROT_READ, PROT_READ }, { RX, RX },
};
static const int reserves[] = { 0, MAP_NORESERVE };
static const int advices[] = { 0, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DONTFORK };

enum sample_file { NO_FILE, MEMORY_FILE, OUR_PROGRAM };

struct sample {
	int born, prot, flags, advice;
	enum sample_file file;
};

/* Besides all of the above with each other. Our own program, libraries and stack are there anyway.
 */
static const struct sample others[] = {
	{ RW, RW, MAP_PRIVATE, MADV_WIPEONFORK, NO_FILE },
	{ RW, RW, MAP_PRIVATE, MADV_MERGEABLE, NO_FILE },
	{ RW, RW, MAP_PRIVATE, MADV_RANDOM, NO_FILE },
	{ RW, RW, MAP_PRIVATE, MADV_SEQUENTIAL, NO_FILE },
	{ RW, RW, MAP_PRIVATE | MAP_GROWSDOWN, 0, NO_FILE },
	{ RW, RW, MAP_SHARED, 0, NO_FILE },
	{ PROT_READ, PROT_READ, MAP_SHARED, 0, NO_FILE },
	{ PROT_NONE, PROT_NONE, MAP_SHARED, 0, NO_FILE },
	{ RW, RW, MAP_SHARED | MAP_NORESERVE, 0, NO_FILE },
	{ RW, RW, MAP_SHARED, 0, MEMORY_FILE },
	{ PROT_READ, PROT_READ, MAP_SHARED, 0, MEMORY_FILE },
	{ RX, RX, MAP_SHARED, 0, MEMORY_FILE },
	{ PROT_READ, PROT_READ, MAP_SHARED, 0, OUR_PROGRAM },
	{ PROT_READ, PROT_READ, MAP_PRIVATE, 0, OUR_PROGRAM },
	{ RX, RX, MAP_PRIVATE, 0, OUR_PROGRAM },
	{ RW, RW, MAP_PRIVATE, 0, OUR_PROGRAM },
	{ RW, PROT_READ, MAP_PRIVATE, 0, OUR_PROGRAM },
	{ RW, RX, MAP_PRIVATE, 0, OUR_PROGRAM },
	{ RW, PROT_NONE, MAP_PRIVATE, 0, OUR_PROGRAM },
	{ PROT_NONE, PROT_NONE, MAP_PRIVATE, 0, OUR_PROGRAM },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum {
	SAMPLES = COUNT(protections) * COUNT(reserves) * COUNT(advices) + COUNT(others),
	GROUND = SAMPLES * SLOT,
};

/* One that cannot be made is not learnt. Pages between keep neighbours from becoming one. */
static void make_sample(const struct sample *sample, char *at, const int files[])
{
	int fd = files[sample->file];
	int flags = sample->flags | MAP_FIXED | (sample->file == NO_FILE ? MAP_ANONYMOUS : 0);

	if (mmap(at, PAGE, sample->born, flags, fd, 0) == MAP_FAILED)
		return;
	if (sample->prot != sample->born)
		mprotect(at, PAGE, sample->prot);
	if (sample->advice)
		madvise(at, PAGE, sample->advice);
}

static void make_anonymous(char *at, const int files[])
{
	for (size_t p = 0; p < COUNT(protections); p++) {
		for (size_t r = 0; r < COUNT(reserves); r++) {
			for (size_t a = 0; a < COUNT(advices); a++, at += SLOT) {
				struct sample sample = {
					.born = protections[p].born,
					.prot = protections[p].prot,
					.flags = MAP_PRIVATE | reserves[r],
					.advice = advices[a],
				};

				make_sample(&sample, at, files);
			}
		}
	}
}

static int make_samples(char **ground)
{
	scoped_fd int memory = memfd_create("samples", MFD_CLOEXEC);
	scoped_fd int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const int files[] = { [NO_FILE] = -1, [MEMORY_FILE] = memory, [OUR_PROGRAM] = program };
	char *at;

	*ground = mmap(NULL, GROUND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (*ground == MAP_FAILED)
		return -ENOMEM;
	if (memory >= 0 && ftruncate(memory, PAGE))
		return -errno;
	at = *ground + SLOT / 2;
	make_anonymous(at, files);
	at += (SAMPLES - COUNT(others)) * SLOT;
	for (size_t i = 0; i < COUNT(others); i++)
		make_sample(&others[i], at + i * SLOT, files);
	return 0;
}

/* ---- learning -------------------------------------------------------------------- */

static const struct class *find_class(const struct vma_flags *flags, uint64_t raw)
{
	for (size_t i = 0; i < flags->count; i++)
		if (flags->classes[i].raw == raw)
			return &flags->classes[i];
	return NULL;
}

static int learn_area(struct vma_flags *flags, const struct proc_vma *vma, uint64_t raw)
{
	const struct class *known = find_class(flags, raw);

	if (known) /* the same bits with two meanings: nothing is as we think */
		return known->flags == vma->flags ? 0 : -EUCLEAN;
	if (vma->flags & NOT_LEARNT || vma->pkey || vma->page_size != PAGE ||
	    flags->count == CLASSES_MAX)
		return 0;
	flags->classes[flags->count++] = (struct class){ raw, vma->flags };
	return 0;
}

/* Both lists ascend. Areas that came or went between the two readings have no partner. */
static int learn_areas(struct vma_flags *flags, const struct proc_vmas *vmas,
		       const struct vma_raw *raws, size_t nr_raws)
{
	size_t at = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < vmas->count; i++) {
		const struct proc_vma *vma = &vmas->items[i];

		while (at < nr_raws && raws[at].start < vma->start)
			at++;
		if (at < nr_raws && raws[at].start == vma->start && raws[at].end == vma->end)
			ret = learn_area(flags, vma, raws[at].flags);
	}
	return ret;
}

static int learn(struct vma_flags *flags)
{
	scoped_fd int proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_free struct vma_raw *raws = NULL;
	struct proc_vmas vmas = { 0 };
	size_t nr_raws = 0;
	int ret = proc_fd < 0 ? -errno : proc_vmas_read(proc_fd, &vmas);

	if (!ret)
		ret = -EAGAIN; /* our other threads may be at work */
	for (int i = 0; ret == -EAGAIN && i < TRIES; i++)
		ret = vma_iter_read(flags->iter, getpid(), &raws, &nr_raws);
	if (!ret)
		ret = learn_areas(flags, &vmas, raws, nr_raws);
	proc_vmas_free(&vmas);
	return ret;
}

int vma_flags_open(struct vma_flags **out)
{
	struct vma_flags *flags = calloc(1, sizeof(*flags));
	char *ground = MAP_FAILED;
	int ret = flags ? vma_iter_open(&flags->iter) : -ENOMEM;

	if (!ret)
		ret = make_samples(&ground);
	if (!ret)
		ret = learn(flags);
	if (ground != MAP_FAILED)
		munmap(ground, GROUND);
	if (ret)
		vma_flags_close(flags);
	else
		*out = flags;
	return ret;
}

void vma_flags_close(struct vma_flags *flags)
{
	if (!flags)
		return;
	vma_iter_close(flags->iter);
	free(flags);
}

/* ---- reading --------------------------------------------------------------------- */

/* The iterator does not show this one, which is nobody's memory. */
static bool is_vsyscall(const struct proc_vma *vma)
{
	return !strcmp(vma->name, "[vsyscall]");
}

static int fill_in(const struct vma_flags *flags, struct proc_vmas *vmas,
		   const struct vma_raw *raws, size_t nr_raws)
{
	size_t at = 0;

	for (size_t i = 0; i < vmas->count; i++) {
		struct proc_vma *vma = &vmas->items[i];
		const struct class *class;

		vma->page_size = PAGE;
		if (is_vsyscall(vma))
			continue;
		if (at == nr_raws || raws[at].start != vma->start || raws[at].end != vma->end)
			return -ENODATA;
		class = find_class(flags, raws[at++].flags);
		if (!class)
			return -ENODATA;
		vma->flags = class->flags;
	}
	return at == nr_raws ? 0 : -ENODATA;
}

int vma_flags_read(const struct vma_flags *flags, int proc_fd, pid_t pid, struct proc_vmas *out)
{
	scoped_free struct vma_raw *raws = NULL;
	scoped_text struct text text = { 0 };
	size_t nr_raws = 0;
	int ret = text_read_at(proc_fd, "maps", &text);

	if (!ret)
		ret = vma_iter_read(flags->iter, pid, &raws, &nr_raws);
	if (!ret)
		ret = proc_vmas_parse(take_ptr(text.data), out);
	if (ret)
		return ret;
	ret = fill_in(flags, out, raws, nr_raws);
	if (ret)
		proc_vmas_free(out);
	return ret;
}
