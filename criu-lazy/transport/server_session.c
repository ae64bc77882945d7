// SPDX-License-Identifier: GPL-2.0
/* What each client is owed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/server_impl.h"

enum { WORD = 64 };

static struct session *find_session(struct server *server, const uint8_t *id)
{
	for (struct session *session = server->sessions; session; session = session->next) {
		if (!memcmp(session->id, id, WIRE_SESSION_SIZE))
			return session;
	}
	return NULL;
}

static void free_session(struct server *server, struct session *session)
{
	for (size_t i = 0; i < provider_count(server->params.pages); i++)
		free((void *)atomic_load(&session->owed[i]));
	free(session->owed);
	free(session->priority.items);
	free(session);
}

void sessions_free(struct server *server)
{
	while (server->sessions) {
		struct session *session = server->sessions;

		server->sessions = session->next;
		free_session(server, session);
	}
}

/* Who came, took nothing and went is forgotten when room is needed. */
static void drop_idle(struct server *server)
{
	struct session **link = &server->sessions;

	while (*link) {
		struct session *session = *link;

		if (session->refs ||
		    (atomic_load(&session->is_started) && !atomic_load(&session->is_done))) {
			link = &session->next;
			continue;
		}
		*link = session->next;
		server->nr_sessions--;
		free_session(server, session);
	}
}

static struct session *new_session(struct server *server, const uint8_t *id)
{
	size_t count = provider_count(server->params.pages);
	struct session *session;

	if (server->nr_sessions >= SERVER_SESSIONS_MAX)
		drop_idle(server);
	if (server->nr_sessions >= SERVER_SESSIONS_MAX)
		return NULL;
	session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->owed = calloc(count + 1, sizeof(*session->owed));
	if (!session->owed) {
		free(session);
		return NULL;
	}
	memcpy(session->id, id, sizeof(session->id));
	session->next = server->sessions;
	server->sessions = session;
	server->nr_sessions++;
	atomic_fetch_add(&server->clients, 1);
	return session;
}

int session_get(struct server *server, const struct wire_hello *hello, struct channel *channel,
		struct session **out)
{
	struct session *session;
	int ret = 0;

	pthread_mutex_lock(&server->lock);
	session = find_session(server, hello->session);
	if (!session)
		session = new_session(server, hello->session);
	if (session) {
		struct channel **slot = &session->channels[hello->channel - 1];

		/* The client is back before we noticed that it was gone: the newer one counts. */
		if (*slot)
			channel_shutdown(*slot);
		*slot = channel;
		session->refs++;
		*out = session;
	} else {
		ret = -EUSERS;
	}
	pthread_mutex_unlock(&server->lock);
	return ret;
}

void session_put(struct server *server, struct session *session, struct channel *channel)
{
	pthread_mutex_lock(&server->lock);
	for (int i = 0; i < 2; i++) {
		if (session->channels[i] == channel)
			session->channels[i] = NULL;
	}
	session->refs--;
	pthread_mutex_unlock(&server->lock);
}

bool sessions_are_done(struct server *server)
{
	bool any = false, all = true;

	pthread_mutex_lock(&server->lock);
	for (struct session *session = server->sessions; session; session = session->next) {
		if (atomic_load(&session->is_done))
			any = true;
		else if (atomic_load(&session->is_started))
			all = false;
	}
	if (server->compat_done)
		any = true;
	if (server->compat_busy)
		all = false;
	pthread_mutex_unlock(&server->lock);
	return any && all;
}

/* ---- bits --------------------------------------------------------------------- */

static _Atomic uint64_t *bits_of(struct session *session, const struct provider_object *object)
{
	return atomic_load(&session->owed[provider_object_slot(object)]);
}

static uint64_t mask_of(uint64_t from, uint64_t to) /* within one word, to exclusive, from < to */
{
	uint64_t upper = to % WORD ? (1ull << to % WORD) - 1 : ~0ull;

	return upper & ~0ull << from % WORD;
}

static uint64_t word_end(uint64_t index, uint64_t end)
{
	uint64_t next = (index / WORD + 1) * WORD;

	return next < end ? next : end;
}

int session_owe(struct session *session, const struct provider_object *object, uint64_t index,
		uint64_t count)
{
	_Atomic uint64_t *bits = bits_of(session, object);
	uint64_t end = index + count;

	if (!bits) {
		bits = calloc(provider_pages(object) / WORD + 1, sizeof(*bits));
		if (!bits)
			return -ENOMEM;
		atomic_store(&session->owed[provider_object_slot(object)], bits);
	}
	for (; index < end; index = word_end(index, end))
		atomic_fetch_or(&bits[index / WORD], mask_of(index, word_end(index, end)));
	return 0;
}

void session_disown(struct session *session, const struct provider_object *object, uint64_t index,
		    uint64_t count)
{
	_Atomic uint64_t *bits = bits_of(session, object);
	uint64_t end = index + count;

	for (; bits && index < end; index = word_end(index, end))
		atomic_fetch_and(&bits[index / WORD], ~mask_of(index, word_end(index, end)));
}

void session_forget(struct server *server, struct session *session)
{
	for (size_t i = 0; i < provider_count(server->params.pages); i++) {
		struct provider_object *object = provider_at(server->params.pages, i);

		session_disown(session, object, 0, provider_pages(object));
	}
	session->priority.count = session->priority.next = 0;
}

/* Like ffs(3) over the bitmap; end if there is none. */
static uint64_t first_owed(const _Atomic uint64_t *bits, uint64_t index, uint64_t end)
{
	while (index < end) {
		uint64_t stop = word_end(index, end);
		uint64_t word = atomic_load(&bits[index / WORD]) & mask_of(index, stop);

		if (word)
			return index / WORD * WORD + (uint64_t)__builtin_ctzll(word);
		index = stop;
	}
	return end;
}

uint64_t session_take(struct session *session, const struct provider_object *object, uint64_t index,
		      uint64_t end, uint64_t max, uint64_t *first)
{
	_Atomic uint64_t *bits = bits_of(session, object);
	uint64_t at, run, count = 0;

	if (!bits)
		return 0;
	at = first_owed(bits, index, end);
	if (at >= end)
		return 0;
	provider_index(object, provider_address(object, at), &run);
	if (max > run)
		max = run;
	if (max > end - at)
		max = end - at;
	*first = at;
	while (count < max) {
		uint64_t bit = 1ull << (at + count) % WORD;

		if (!(atomic_fetch_and(&bits[(at + count) / WORD], ~bit) & bit))
			break;
		count++;
	}
	/* Somebody was faster with the very first: an empty run is not the end. */
	return count ? count : session_take(session, object, at + 1, end, max, first);
}
