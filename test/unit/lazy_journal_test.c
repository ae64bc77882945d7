// SPDX-License-Identifier: GPL-2.0
/*
 * A process changes address spaces as the engine does and is killed at random moments; what the
 * next one finds must be what the messages it had got by then make of the first state, no less and
 * no more, and of the bits only those may be cleared whose pages were delivered.
 *
 * Messages are made from the number of their batch, so that the history can be told anew.
 */
#include "lazy/durable.h"
#include "lazy/rebuild.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define PAGE 4096ull

enum {
	PAGES = 256,
	SPACES = 10,
	HISTORIES = 8,
	LIVES = 10,
	LIFE_US = 600,
	MESSAGES = 8,
	DELIVERIES = 3,
	BATCHES_MAX = 1 << 14,
	LIFE_BATCHES = 1000
};

/* Shared with those who are killed: batch << 32 | how many of its messages were handed over. */
static _Atomic uint64_t *progress;

/* Of each batch: messages handed over, and whether a death came before its end. */
static struct {
	int nr_written;
	bool is_cut;
} history[BATCHES_MAX];

static uint64_t random_state;

static uint64_t roll(uint64_t limit)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 33) % limit;
}

/* ---- the messages of a batch ---- */

struct plan {
	int space;
	int count;
	struct uffd_msg msgs[MESSAGES];
	struct {
		int space;
		uint64_t page, count;
	} deliveries[DELIVERIES];
};

static void plan_range(uint64_t *start, uint64_t *end)
{
	uint64_t page = roll(2 * PAGES), count = 1 + roll(24);

	*start = page * PAGE;
	*end = *start + count * PAGE;
}

static void plan_message(struct uffd_msg *msg, int *nr_spaces)
{
	uint64_t start, end;

	plan_range(&start, &end);
	switch (roll(8)) {
	case 0 ... 2:
		msg->event = UFFD_EVENT_REMOVE;
		msg->arg.remove.start = start;
		msg->arg.remove.end = end;
		break;
	case 3 ... 4:
		msg->event = UFFD_EVENT_UNMAP;
		msg->arg.remove.start = start;
		msg->arg.remove.end = end;
		break;
	case 5 ... 6:
		msg->event = UFFD_EVENT_REMAP;
		msg->arg.remap.from = start;
		msg->arg.remap.len = end - start;
		msg->arg.remap.to = (start + PAGES * PAGE) % (2 * PAGES * PAGE);
		break;
	default:
		msg->event = *nr_spaces == SPACES ? UFFD_EVENT_PAGEFAULT : UFFD_EVENT_FORK;
		*nr_spaces += *nr_spaces < SPACES;
		msg->arg.fork.ufd = (uint32_t)*nr_spaces;
	}
}

static void make_plan(uint64_t batch, int nr_spaces, struct plan *plan)
{
	int now = nr_spaces;

	random_state = batch * 7919 + 17;
	roll(2);
	*plan = (struct plan){ .space = (int)roll((uint64_t)nr_spaces),
			       .count = 1 + (int)roll(MESSAGES) };
	for (int i = 0; i < plan->count; i++)
		plan_message(&plan->msgs[i], &now);
	for (int i = 0; i < DELIVERIES; i++) {
		plan->deliveries[i].space = (int)roll((uint64_t)nr_spaces);
		plan->deliveries[i].page = roll(2 * PAGES);
		plan->deliveries[i].count = 1 + roll(16);
	}
}

/* ---- as the engine ---- */

static int find_source(struct lazyd *lazyd, uint64_t object, struct lazy_source **out)
{
	check_eq(object, 42);
	*out = NULL;
	return 0;
}

static bool is_uffd(int fd)
{
	return true;
}

static void half_armed(int fd)
{
	check(false);
}

static struct space *nth_space(struct lazyd *lazyd, int uffd)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (space->uffd == uffd)
			return space;
	}
	return NULL;
}

static void fork_space(struct lazyd *lazyd, struct space *parent, int uffd)
{
	struct space *child = space_new(lazyd, uffd);

	check(child != NULL);
	child->parent = parent;
	child->is_forked = true;
	check_eq(owed_fork(&parent->owed, &child->owed), 0);
	durable_enter(lazyd, child);
	check(child->slot >= 0);
}

static void apply(struct lazyd *lazyd, struct space *space, const struct uffd_msg *msg)
{
	switch (msg->event) {
	case UFFD_EVENT_REMOVE:
		owed_remove(&space->owed, msg->arg.remove.start, msg->arg.remove.end);
		break;
	case UFFD_EVENT_UNMAP:
		check_eq(owed_unmap(&space->owed, msg->arg.remove.start, msg->arg.remove.end), 0);
		break;
	case UFFD_EVENT_REMAP:
		check_eq(owed_remap(&space->owed, msg->arg.remap.from, msg->arg.remap.to,
				    msg->arg.remap.len),
			 0);
		break;
	case UFFD_EVENT_FORK:
		fork_space(lazyd, space, (int)msg->arg.fork.ufd);
		break;
	}
}

static void apply_durably(struct lazyd *lazyd, struct space *space, uint32_t number)
{
	const struct uffd_msg *msg = &lazyd->journal->inbox.msgs[number];

	apply(lazyd, space, msg);
	lazyd->nr_applied = number + 1;
	if (space->owed.is_dirty || msg->event == UFFD_EVENT_FORK)
		check_eq(durable_commit(lazyd), 0);
}

static void deliver(struct lazyd *lazyd, const struct plan *plan)
{
	for (int i = 0; i < DELIVERIES; i++) {
		struct space *space = nth_space(lazyd, 1 + plan->deliveries[i].space);
		uint64_t start = plan->deliveries[i].page * PAGE;
		uint64_t end = start + plan->deliveries[i].count * PAGE;
		struct owed_area *area;

		if (!space)
			continue;
		for (area = owed_next(&space->owed, start); area && area->start < end;
		     area = RB_NEXT(owed_tree, &space->owed.areas, area))
			owed_done(area, start, end);
	}
}

static int count_spaces(struct lazyd *lazyd)
{
	struct space *space;
	int count = 0;

	TAILQ_FOREACH (space, &lazyd->spaces, link)
		count++;
	return count;
}

/* As read(2): a message is there when its event is. */
static void hand_over(struct journal_inbox *inbox, const struct plan *plan, uint64_t batch)
{
	for (int i = 0; i < plan->count; i++) {
		volatile __u8 *event = &inbox->msgs[i].event;
		struct uffd_msg msg = plan->msgs[i];

		msg.event = 0;
		inbox->msgs[i] = msg;
		atomic_signal_fence(memory_order_seq_cst);
		*event = plan->msgs[i].event;
		atomic_store(progress, batch << 32 | (uint64_t)(i + 1));
	}
}

static void work(struct lazyd *lazyd) __attribute__((noreturn));
static void work(struct lazyd *lazyd)
{
	struct journal_inbox *inbox = &lazyd->journal->inbox;

	for (int life = 0; life < LIFE_BATCHES; life++) {
		uint64_t batch = atomic_load(&inbox->batch) + 1;
		struct space *space;
		struct plan plan;

		make_plan(batch, count_spaces(lazyd), &plan);
		space = nth_space(lazyd, 1 + plan.space);
		inbox->slot = space->slot;
		inbox->uffd = space->uffd;
		lazyd->nr_applied = 0;
		atomic_store(&inbox->batch, batch);
		hand_over(inbox, &plan, batch);
		for (int i = 0; i < plan.count; i++)
			apply_durably(lazyd, space, (uint32_t)i);
		memset(inbox->msgs, 0, (size_t)plan.count * sizeof(inbox->msgs[0]));
		deliver(lazyd, &plan);
	}
	for (;;)
		pause();
}

static void begin(struct lazyd *lazyd)
{
	const struct owed_shape shape = {
		.heap = &lazyd->heap,
		.base = 0,
		.len = PAGES * PAGE,
		.page_size = PAGE,
		.object = 42,
	};
	struct owed_area area = { .start = 0,
				  .end = PAGES * PAGE,
				  .page_size = PAGE,
				  .kind = LAZY_RANGE_ANON,
				  .bits = owed_bits_new(&shape) };
	struct space *space = space_new(lazyd, 1);

	check(space && area.bits);
	owed_bits_set(area.bits, 0, PAGES * PAGE);
	check_eq(owed_add(&space->owed, &area), 0);
	owed_bits_put(area.bits);
	durable_enter(lazyd, space);
	check_eq(durable_commit(lazyd), 0);
}

/* ---- the judge ---- */

static void forget(struct lazyd *lazyd)
{
	struct space *space;

	while ((space = TAILQ_FIRST(&lazyd->spaces))) {
		TAILQ_REMOVE(&lazyd->spaces, space, link);
		owed_fini(&space->owed);
		free(space->recent);
		free(space);
	}
}

/* The same history without a death, on memory of its own. Were cut deliveries made? */
static void tell_anew(struct lazyd *model, uint64_t last, bool are_delivered)
{
	begin(model);
	for (uint64_t batch = 1; batch <= last; batch++) {
		struct plan plan;

		make_plan(batch, count_spaces(model), &plan);
		for (int i = 0; i < history[batch].nr_written; i++)
			apply(model, nth_space(model, 1 + plan.space), &plan.msgs[i]);
		if (!history[batch].is_cut || are_delivered)
			deliver(model, &plan);
	}
}

static void compare_space(struct space *found, struct space *most, struct space *least)
{
	struct owed_area *area, *other = RB_MIN(owed_tree, &most->owed.areas);

	owed_for_each(area, &found->owed)
	{
		check(other != NULL);
		check_eq(area->start, other->start);
		check_eq(area->end, other->end);
		check_eq(area->image, other->image);
		for (uint64_t at = area->start; at < area->end; at += PAGE) {
			struct owed_area *low = owed_find(&least->owed, at);

			check(low != NULL);
			if (owed_is_owed(area, at))
				check(owed_is_owed(other, at));
			else
				check(!owed_is_owed(low, at));
		}
		other = RB_NEXT(owed_tree, &most->owed.areas, other);
	}
	check(!other);
}

static void judge(struct lazyd *lazyd, uint64_t last)
{
	struct lazyd models[2] = { 0 };
	struct space *space;

	for (int i = 0; i < 2; i++) {
		TAILQ_INIT(&models[i].spaces);
		models[i].journal = journal_new();
		check(models[i].journal && !heap_init(&models[i].heap, 64 << 20));
		tell_anew(&models[i], last, i);
	}
	check_eq(count_spaces(lazyd), count_spaces(&models[0]));
	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		struct space *most = nth_space(&models[0], space->uffd);

		check(most != NULL);
		compare_space(space, most, nth_space(&models[1], space->uffd));
	}
	for (int i = 0; i < 2; i++) {
		forget(&models[i]);
		heap_fini(&models[i].heap);
		munmap(models[i].journal, sizeof(struct journal));
	}
}

static const struct rebuild_calls calls = { find_source, is_uffd, half_armed };

/* How many messages had to be applied. */
static int take_over(struct lazyd *lazyd)
{
	struct journal_inbox *inbox = &lazyd->journal->inbox;
	int count = 0;

	lazyd->journal->generation++;
	check_eq(rebuild(lazyd, &calls), 0);
	lazyd->nr_applied = journal_applied(lazyd->journal);
	for (uint32_t i = lazyd->nr_applied; i < MESSAGES && inbox->msgs[i].event; i++) {
		apply_durably(lazyd, rebuild_find(lazyd, inbox->slot), i);
		count++;
	}
	memset(inbox->msgs, 0, sizeof(inbox->msgs));
	return count;
}

/* All batches up to the one that was cut are known after this; its number. */
static uint64_t note_death(struct lazyd *lazyd, uint64_t from, int nr_spaces)
{
	const struct journal_inbox *inbox = &lazyd->journal->inbox;
	uint64_t batch = atomic_load(&inbox->batch), known = atomic_load(progress);
	int written = known >> 32 == batch ? (int)(uint32_t)known : 0;

	check(batch < BATCHES_MAX);
	for (uint64_t i = from + 1; i <= batch; i++) {
		struct plan plan;

		make_plan(i, nr_spaces, &plan);
		/* Handed over in the last instant, and not counted. */
		if (i == batch && written < plan.count && inbox->msgs[written].event)
			written++;
		history[i].nr_written = i == batch ? written : plan.count;
		history[i].is_cut = i == batch;
		for (int j = 0; j < history[i].nr_written; j++)
			nr_spaces += plan.msgs[j].event == UFFD_EVENT_FORK;
	}
	return batch;
}

static uint64_t mix_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_nsec / 7;
}

static void live_and_die(struct lazyd *lazyd)
{
	const uint64_t before = atomic_load(progress);
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0)
		work(lazyd);
	for (int i = 0; i < 2000 && atomic_load(progress) == before; i++)
		usleep(10);
	usleep((useconds_t)(mix_time() % LIFE_US));
	kill(pid, SIGKILL);
	check_eq(waitpid(pid, NULL, 0), pid);
}

/* How many messages were applied again. */
static int tell_history(void)
{
	struct lazyd lazyd = { .spaces = TAILQ_HEAD_INITIALIZER(lazyd.spaces) };
	int count = 0;

	lazyd.journal = journal_new();
	check(lazyd.journal && !heap_init(&lazyd.heap, 64 << 20));
	atomic_store(progress, 0);
	begin(&lazyd);
	for (int i = 0; i < LIVES; i++) {
		uint64_t from = atomic_load(&lazyd.journal->inbox.batch), last;
		int nr_spaces = count_spaces(&lazyd);

		live_and_die(&lazyd);
		last = note_death(&lazyd, from, nr_spaces);
		forget(&lazyd);
		count += take_over(&lazyd);
		judge(&lazyd, last);
	}
	forget(&lazyd);
	heap_fini(&lazyd.heap);
	munmap(lazyd.journal, sizeof(*lazyd.journal));
	return count;
}

int main(void)
{
	int count = 0;

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	check(progress != MAP_FAILED);
	for (int i = 0; i < HISTORIES; i++)
		count += tell_history();
	check(count > 0);
	return 0;
}
