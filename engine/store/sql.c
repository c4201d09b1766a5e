/* store/sql.c - the statements. Numbers of states stand as literals where an index depends on them: a partial index
 * serves only a statement that repeats its condition word for word. (1 debouncing, 2 queued, 3 awaiting_approval, 4 running,
 * 5 succeeded, 11 superseded: model/job.h;
 * held by the assertions below.) */
#include "store/sql.h"

#include <assert.h>

#include "model/job.h"

static_assert(JOB_DEBOUNCING == 1 && JOB_QUEUED == 2 && JOB_AWAITING_APPROVAL == 3 && JOB_RUNNING == 4 && JOB_SUCCEEDED == 5 &&
	      JOB_SUPERSEDED == 11, "the literals below");

static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_SAVE] = "SAVEPOINT request",
	[SQL_RELEASE] = "RELEASE request",
	[SQL_UNDO] = "ROLLBACK TO request",
	[SQL_BEGIN_READ] = "BEGIN",
	[SQL_META] = "SELECT change, last_delivery, last_job, deliveries, body_bytes FROM meta",
	[SQL_META_SET] = "UPDATE meta SET change=?1, last_delivery=?2, last_job=?3, deliveries=?4, body_bytes=?5",

	[SQL_SOURCE_FIND] = "SELECT id FROM source WHERE name=?1",
	[SQL_SOURCE_ADD] = "INSERT INTO source(name) VALUES(?1)",
	[SQL_RULE_FIND] = "SELECT id FROM rule WHERE name=?1 AND file=?2 AND cell=?3",
	[SQL_RULE_ADD] = "INSERT INTO rule(name, file, cell) VALUES(?1, ?2, ?3)",
	[SQL_DELIVERY_ADD] =
		"INSERT INTO delivery(id, source, key, provider, event, action, received_ms, bytes, change, summary, ruleset,"
		" event_json, headers, why, query, secret, notes, digest, cause, root)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
		" ON CONFLICT(source, key) DO NOTHING",
	[SQL_DELIVERY_FIND] = "SELECT id FROM delivery WHERE source=?1 AND key=?2",
	[SQL_BODY_ADD] = "INSERT INTO body(delivery, data) VALUES(?1, ?2)",
	[SQL_SAME_FIND] = "SELECT id FROM delivery WHERE digest=?1 AND source=?2 AND id<?3 ORDER BY id LIMIT 1",
	[SQL_FACET_ADD] =
		"INSERT INTO facet(delivery, source, event, action, received_ms, replay_of, same_as, repo, branch, original, root)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, CAST(json_extract(?8, '$.repo') AS TEXT), CAST(json_extract(?8, '$.branch') AS TEXT), ?9,"
		" ?10)",
	[SQL_ORIGINAL] = "SELECT coalesce((SELECT original FROM facet WHERE delivery=?1), ?1)",
	[SQL_RULESET_USE] =
		"INSERT INTO ruleset(sha, deliveries) VALUES(?1, 1) ON CONFLICT(sha) DO UPDATE SET deliveries=deliveries+1",
	[SQL_QUEUE_FIND] = "SELECT id, lim, head, busy, running FROM queue WHERE key=?1",
	[SQL_QUEUE_ADD] = "INSERT INTO queue(key, lim, running, head, busy) VALUES(?1, ?2, 0, ?3, ?4)",
	[SQL_QUEUE_JOIN] = "UPDATE queue SET lim=?2, head=coalesce(head, ?3), busy=?4 WHERE id=?1",
	[SQL_JOB_ADD] =
		"INSERT INTO job(id, delivery, rule, queue, state, attempt, timeout_ms, queued_ms, change, reason, ended_ms, trust,"
		" residue, merge) VALUES(?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[SQL_ONCE_FIND] = "SELECT job FROM once WHERE rule=?1 AND key=?2 AND until_ms>?3",
	[SQL_ONCE_SET] = "INSERT OR REPLACE INTO once(rule, key, job, until_ms) VALUES(?1, ?2, ?3, ?4)",
	[SQL_ONCE_RELEASE] = "DELETE FROM once WHERE job=?1",
	[SQL_FIRST_JOBS] =
		"SELECT r.name, j.id, r.cell FROM (SELECT id FROM job WHERE delivery=?1 AND rerun=0 UNION ALL"
		" SELECT job FROM merged WHERE delivery=?1) mine CROSS JOIN job j ON j.id=mine.id JOIN rule r ON r.id=j.rule ORDER BY j.id",

	[SQL_QUEUE_ROW] = "SELECT id, lim, head, busy, running FROM queue WHERE id=?1",
	[SQL_QUEUE_ENTER] = "UPDATE queue SET head=min(coalesce(head, ?2), ?2) WHERE id=?1",
	[SQL_QUEUE_REHEAD] = "UPDATE queue SET head=(SELECT id FROM job WHERE queue=?1 AND state=2 ORDER BY id LIMIT 1) WHERE id=?1",
	[SQL_LIKE_DEBOUNCING] =
		"SELECT d.job, d.latest_ms FROM debounce d CROSS JOIN job j ON j.id=d.job WHERE d.queue=?1 AND d.merge=?2 AND j.merged<?3"
		" ORDER BY d.job DESC LIMIT 1",
	/* these walk the slot's waiting jobs: few, where only the newest may wait, or as many as may run, where none may */
	[SQL_LIKE_WAITING] =
		"SELECT id FROM job WHERE queue=?1 AND state=2 AND attempt=0 AND merge=?2 AND merged<?3 ORDER BY id DESC LIMIT 1",
	[SQL_WAITING_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM job WHERE queue=?1 AND state=2 LIMIT ?2)",
	[SQL_OTHERS_WAITING] = "SELECT id FROM job WHERE queue=?1 AND state=2 AND id<>?2 AND delivery<>?3 ORDER BY id",
	[SQL_OTHERS_DEBOUNCING] = 
		"SELECT d.job FROM debounce d CROSS JOIN job j ON j.id=d.job WHERE d.queue=?1 AND d.job<>?2 AND j.delivery<>?3 ORDER BY d.job",
	/* these, what runs in all: as many as may */
	[SQL_STAYING_COUNT] = "SELECT count(*) FROM job WHERE state=4 AND state<>5 AND queue=?1 AND wish IS NULL",
	[SQL_STAYING] =
		"SELECT id, attempt FROM job WHERE state=4 AND state<>5 AND queue=?1 AND wish IS NULL AND delivery<>?2 ORDER BY id LIMIT ?3",
	[SQL_BEFORE_IT] =
		"SELECT (SELECT id FROM job WHERE state=4 AND state<>5 AND queue=?1 ORDER BY id LIMIT 1),"
		" (SELECT id FROM job WHERE queue=?1 AND state=2 ORDER BY id LIMIT 1)",
	[SQL_LATEST_BOUND] = "SELECT min(latest_ms) FROM debounce WHERE queue=?1",
	[SQL_MERGED_ADD] = "INSERT INTO merged(delivery, rule, job) SELECT delivery, rule, id FROM job WHERE id=?1",
	[SQL_JOB_TAKE_IN] =
		"UPDATE job SET delivery=?2, timeout_ms=?3, residue=?4, reason=?5, change=?6, merged=merged+1 WHERE id=?1",
	[SQL_JOB_REPLACED] =
		"UPDATE job SET state=11, ended_ms=?2, reason=?3, heir=?4, change=?5, queue=NULL, wish=NULL WHERE id=?1",
	[SQL_JOB_STOP] = "UPDATE job SET wish=?2, heir=?3 WHERE id=?1",
	[SQL_NEXT_DUE] = "SELECT due_ms FROM debounce ORDER BY due_ms LIMIT 1",
	[SQL_DUE] =
		"SELECT d.job, d.queue, j.delivery FROM debounce d CROSS JOIN job j ON j.id=d.job WHERE d.due_ms<=?1"
		" ORDER BY d.due_ms, d.job LIMIT 1",
	[SQL_JOB_ENTER] = "UPDATE job SET state=2, reason='', change=?2 WHERE id=?1",
	[SQL_DEBOUNCE_ADD] = "INSERT INTO debounce(job, queue, merge, due_ms, latest_ms) VALUES(?1, ?2, ?3, ?4, ?5)",
	[SQL_DEBOUNCE_MOVE] = "UPDATE debounce SET due_ms=?2 WHERE job=?1",
	[SQL_DEBOUNCES_SET] = "UPDATE debounce SET due_ms=due_ms+?1, latest_ms=latest_ms+?1",
	[SQL_DEBOUNCES_PRESENT] = "UPDATE debounce SET due_ms=?1 WHERE (SELECT queued_ms FROM job WHERE id=job)>?1",
	[SQL_BATCH_BYTES] =
		"SELECT (SELECT coalesce(sum(d.bytes), 0) FROM merged m CROSS JOIN delivery d ON d.id=m.delivery WHERE m.job=?1) + d.bytes"
		" FROM job j CROSS JOIN delivery d ON d.id=j.delivery WHERE j.id=?1",
	[SQL_WOULD_TAKE] = "SELECT 1 FROM job WHERE id=?1 AND merge=?2 AND attempt=0 AND merged<?3",
	[SQL_DEBOUNCE_DROP] = "DELETE FROM debounce WHERE job=?1",
	[SQL_MERGED_OF] =
		"SELECT d.id, d.event_json FROM merged m CROSS JOIN delivery d ON d.id=m.delivery WHERE m.job=?1 ORDER BY m.delivery",

	[SQL_READY] = "SELECT id, head FROM queue WHERE head IS NOT NULL AND running < lim ORDER BY head LIMIT 1",
	[SQL_NEXT_IN_QUEUE] = "SELECT id FROM job WHERE queue=?1 AND state=2 AND id>?2 ORDER BY id LIMIT 1",
	[SQL_JOB_CLAIM] =
		"UPDATE job SET state=4, attempt=?2, started_ms=?3, change=?4, reason='' WHERE id=?1",
	[SQL_ATTEMPT_ADD] =
		"INSERT INTO attempt(job, n, state, started_ms, reason, confinement) VALUES(?1, ?2, 4, ?3, '', '')",
	[SQL_QUEUE_TAKE] = "UPDATE queue SET running=running+1, head=?2 WHERE id=?1",
	[SQL_CLAIM_ROW] =
		"SELECT r.name, r.file, r.cell, d.ruleset, s.name, d.event_json, d.headers, d.received_ms, j.timeout_ms,"
		" j.delivery, b.data, p.reason, j.trust, d.cause, j.residue, f.original, j.merged"
		" FROM job j JOIN rule r ON r.id=j.rule JOIN delivery d ON d.id=j.delivery"
		" JOIN source s ON s.id=d.source JOIN facet f ON f.delivery=d.id LEFT JOIN body b ON b.delivery=d.id"
		" LEFT JOIN attempt p ON p.job=j.id AND p.n=?2-1 WHERE j.id=?1",

	[SQL_STARTED] = "UPDATE attempt SET confinement=?3 WHERE job=?1 AND n=?2 AND state=4",
	[SQL_JOB_HOLDER] = "SELECT state, attempt, queue, wish FROM job WHERE id=?1",
	[SQL_ATTEMPT_END] =
		"UPDATE attempt SET state=?3, ended_ms=?4, exit_code=?5, reason=?6, log_bytes=?7"
		" WHERE job=?1 AND n=?2 AND state=4",
	[SQL_JOB_END] =
		"UPDATE job SET state=?2, ended_ms=?3, exit_code=?4, reason=?5, log_bytes=?6, change=?7, queue=NULL, wish=NULL"
		" WHERE id=?1",
	[SQL_JOB_AGAIN] = "UPDATE job SET state=2, started_ms=NULL, reason=?2, change=?3 WHERE id=?1",
	[SQL_JOB_WISH] = "UPDATE job SET wish=coalesce(wish, ?2) WHERE id=?1",
	[SQL_QUEUE_LEAVE] = "UPDATE queue SET running=running-1 WHERE id=?1",
	[SQL_QUEUE_RETURN] = "UPDATE queue SET running=running-1, head=min(coalesce(head, ?2), ?2) WHERE id=?1",
	[SQL_QUEUE_HEAD] = "UPDATE queue SET head=?3 WHERE id=?1 AND head=?2",

	[SQL_OUTBOX_ADD] = "INSERT INTO outbox(id, kind, job, ordinal, name, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_OUTBOX_NEXT] = "SELECT id, kind, job, ordinal, name, data FROM outbox WHERE id>?1 ORDER BY id LIMIT 1",
	[SQL_OUTBOX_DROP] = "DELETE FROM outbox WHERE id=?1",
	[SQL_JOB_OUTPUTS] = "UPDATE job SET outputs=?2 WHERE id=?1",
	/* the jobs of one delivery and rule, whatever their cells, those that took it in among them */
	[SQL_SIBLINGS] =
		"SELECT j.id, r.cell, j.state, j.outputs FROM (SELECT id FROM job WHERE delivery=?1 UNION ALL"
		" SELECT job FROM merged WHERE delivery=?1) mine CROSS JOIN job j ON j.id=mine.id JOIN rule r ON r.id=j.rule WHERE"
		" r.name=?2 AND r.file=?3 ORDER BY j.id",
	[SQL_OPEN_SIBLINGS] =
		"SELECT (SELECT count(*) FROM job j JOIN rule r ON r.id=j.rule WHERE j.delivery=me.delivery AND r.name=me.name AND"
		" r.file=me.file AND j.state<=4) + (SELECT count(*) FROM merged m CROSS JOIN job j ON j.id=m.job JOIN rule r ON r.id=m.rule"
		" WHERE m.delivery=me.delivery AND r.name=me.name AND r.file=me.file AND j.state<=4)"
		" FROM (SELECT j.delivery, r.name, r.file FROM job j JOIN rule r ON r.id=j.rule WHERE j.id=?1) me",
	/* of each delivery that job ?1 took in and that has a job of this rule of its own, too: that job */
	[SQL_SPEAKERS] =
		"SELECT max(j.id) FROM merged m CROSS JOIN rule me ON me.id=m.rule CROSS JOIN job j ON j.delivery=m.delivery"
		" JOIN rule r ON r.id=j.rule WHERE m.job=?1 AND r.name=me.name AND r.file=me.file GROUP BY m.delivery HAVING max(j.id)>?2"
		" ORDER BY 1 LIMIT 1",
	[SQL_EFFECT_ROW] =
		"SELECT r.name, r.file, r.cell, j.state, j.attempt, j.exit_code, j.reason, j.outputs, j.delivery, d.event_json, d.cause,"
		" coalesce(d.root, d.id), j.trust"
		" FROM job j JOIN rule r ON r.id=j.rule JOIN delivery d ON d.id=j.delivery WHERE j.id=?1",
	[SQL_CHAIN_LENGTH] = "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE root=?1 LIMIT ?2)",
	[SQL_SCHEDULE_FIND] = "SELECT id, text, since_ms, is_armed, floor_ms FROM schedule WHERE file=?1 AND rule=?2",
	[SQL_SCHEDULE_ADD] =
		"INSERT INTO schedule(file, rule, text, since_ms, floor_ms, seen, is_armed) VALUES(?1, ?2, ?3, ?4, -1, ?5, 1)",
	[SQL_SCHEDULE_SET] = "UPDATE schedule SET text=?2, since_ms=?3, seen=?4, is_armed=1 WHERE id=?1",
	[SQL_SCHEDULE_SEEN] = "UPDATE schedule SET seen=?2 WHERE id=?1",
	[SQL_SCHEDULES_REST] = "UPDATE schedule SET is_armed=0 WHERE seen<>?1 AND is_armed=1",
	[SQL_SCHEDULE_ROUND] = "SELECT coalesce(max(seen), 0) + 1 FROM schedule",
	[SQL_SCHEDULE_THROUGH] = "UPDATE schedule SET since_ms=?2 WHERE id=?1",
	[SQL_INSTANT_ADD] = "INSERT INTO instant(schedule, at_ms) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
	[SQL_INSTANT_OLD] = "SELECT at_ms FROM instant WHERE schedule=?1 ORDER BY at_ms DESC LIMIT 1 OFFSET ?2",
	[SQL_INSTANTS_DROP] = "DELETE FROM instant WHERE schedule=?1 AND at_ms<=?2",
	[SQL_SCHEDULE_FLOOR] = "UPDATE schedule SET floor_ms=max(floor_ms, ?2) WHERE id=?1",

	[SQL_JOB_ROW] =
		"SELECT j.delivery, r.name, r.file, r.cell, j.state, j.attempt, s.name, d.event, d.summary, j.queued_ms,"
		" j.started_ms, j.ended_ms, j.exit_code, j.reason, j.log_bytes, j.change, j.trust, j.merged, j.heir,"
		" iif(j.state=1, (SELECT due_ms FROM debounce WHERE job=j.id), NULL) FROM job j"
		" JOIN rule r ON r.id=j.rule JOIN delivery d ON d.id=j.delivery JOIN source s ON s.id=d.source WHERE j.id=?1",
	[SQL_JOB_RULESET] = "SELECT d.ruleset, j.outputs FROM job j JOIN delivery d ON d.id=j.delivery WHERE j.id=?1",
	[SQL_DELIVERY_ROW] =
		"SELECT s.name, d.provider, d.key, d.event, d.action, d.received_ms, d.bytes,"
		" (SELECT count(*) FROM job j WHERE j.delivery=d.id AND j.rerun=0) + (SELECT count(*) FROM merged WHERE delivery=d.id),"
		" d.summary, d.change, f.replay_of, f.same_as, f.root"
		" FROM delivery d JOIN source s ON s.id=d.source JOIN facet f ON f.delivery=d.id WHERE d.id=?1",
	[SQL_DELIVERY_WIDE] =
		"SELECT headers, event_json, why, ruleset, query, secret, notes, EXISTS(SELECT 1 FROM body WHERE delivery=?1), cause"
		" FROM delivery WHERE id=?1",
	[SQL_DELIVERY_JOBS] = "SELECT id FROM job WHERE delivery=?1 UNION ALL SELECT job FROM merged WHERE delivery=?1 ORDER BY 1",
	[SQL_JOB_BATCH] =
		"SELECT d.id, d.key, d.event, d.action, d.received_ms, d.summary FROM (SELECT delivery FROM merged WHERE job=?1 UNION ALL"
		" SELECT delivery FROM job WHERE id=?1) mine CROSS JOIN delivery d ON d.id=mine.delivery ORDER BY d.id",
	[SQL_ATTEMPTS] =
		"SELECT n, started_ms, ended_ms, state, exit_code, reason, log_bytes, confinement FROM attempt WHERE job=?1"
		" ORDER BY n",
	[SQL_BODY] = "SELECT data FROM body WHERE delivery=?1",
	[SQL_JOBS_BELOW] = "SELECT id FROM job WHERE id<?1 ORDER BY id DESC LIMIT ?2",
	[SQL_JOBS_OF_STATE] = "SELECT id FROM job WHERE id<?1 AND state=?3 AND state<>5 ORDER BY id DESC LIMIT ?2",
	[SQL_JOBS_SUCCEEDED] = "SELECT id FROM job WHERE id<?1 AND +state=5 ORDER BY id DESC LIMIT ?2",
	[SQL_RULE_IDS] = "SELECT id FROM rule WHERE name=?1",
	[SQL_JOBS_OF_RULE] =
		"SELECT id FROM job INDEXED BY job_rule WHERE id<?1 AND rule=?3 AND (?4=0 OR +state=?4)"
		" ORDER BY id DESC LIMIT ?2",
	[SQL_DELIVERIES_BELOW] = "SELECT id FROM delivery WHERE id<?1 ORDER BY id DESC LIMIT ?2",
	[SQL_DELIVERIES_OF_SOURCE] =
		"SELECT id FROM delivery INDEXED BY delivery_source WHERE id<?1 AND source=(SELECT id FROM source WHERE name=?3)"
		" ORDER BY id DESC LIMIT ?2",
	/* Two walks over what lists are filtered by, and nothing else: list.c looks at each step. */
	[SQL_JOB_WALK] =
		"SELECT j.id, j.state, r.name, d.received_ms, d.source, d.event, d.action, d.repo, d.branch, j.delivery FROM job j"
		" CROSS JOIN rule r ON r.id=j.rule CROSS JOIN facet d ON d.delivery=j.delivery WHERE j.id<?1"
		" ORDER BY j.id DESC",
	[SQL_DELIVERY_WALK] =
		"SELECT delivery, 0, '', received_ms, source, event, action, repo, branch, delivery FROM facet WHERE delivery<?1"
		" ORDER BY delivery DESC",
	/* of the deliveries that this one points to, those that are not kept any more */
	[SQL_GONE] =
		"SELECT n FROM (SELECT replay_of AS n FROM facet WHERE delivery=?1 UNION SELECT same_as FROM facet WHERE delivery=?1"
		" UNION SELECT root FROM delivery WHERE id=?1 UNION SELECT json_extract(cause, '$.delivery') FROM delivery WHERE id=?1)"
		" WHERE n>0 AND NOT EXISTS(SELECT 1 FROM delivery WHERE id=n)",
	[SQL_REPLAYS] = "SELECT delivery FROM facet WHERE replay_of=?1 ORDER BY delivery DESC LIMIT 50",
	[SQL_KEPT] =
		"SELECT s.name, d.key, d.ruleset, d.headers, d.query, d.received_ms, d.secret, b.data, b.data IS NOT NULL, d.event, d.action,"
		" d.cause, json_extract(d.event_json, '$.only.file'), json_extract(d.event_json, '$.only.rule') FROM delivery d"
		" JOIN source s ON s.id=d.source LEFT JOIN body b ON b.delivery=d.id WHERE d.id=?1",
	[SQL_RULESET_USES] = "SELECT 1 FROM ruleset WHERE sha=?1 AND deliveries>0",
	[SQL_JOB_CHANGES] = "SELECT change, id FROM job WHERE change>?1 ORDER BY change LIMIT ?2",
	[SQL_DELIVERY_CHANGES] = "SELECT change, id FROM delivery WHERE change>?1 ORDER BY change LIMIT ?2",
	[SQL_COUNT_STATE] = "SELECT count(*) FROM job WHERE state=?1 AND state<>5",
	[SQL_RUNNING] = "SELECT j.id, j.attempt, r.name, j.wish FROM job j JOIN rule r ON r.id=j.rule"
		" WHERE j.state=4 AND j.state<>5 ORDER BY j.id",
	[SQL_BYTES] = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",

	[SQL_OLD_JOBS] = "SELECT id, state, queued_ms, ended_ms FROM job WHERE id>?1 ORDER BY id LIMIT ?2",
	[SQL_OLD_DELIVERIES] = "SELECT id, received_ms FROM delivery WHERE id>?1 ORDER BY id LIMIT ?2",
	[SQL_OLD_BODIES] = "SELECT delivery, length(data) FROM body WHERE delivery>?1 ORDER BY delivery LIMIT ?2",
	[SQL_JOB_DELIVERIES] =
		"SELECT d.id, d.received_ms FROM (SELECT delivery FROM job WHERE id=?1 UNION ALL SELECT delivery FROM merged WHERE job=?1) mine"
		" CROSS JOIN delivery d ON d.id=mine.delivery",
	[SQL_MERGED_DROP] = "DELETE FROM merged WHERE job=?1",
	[SQL_ATTEMPT_NUMBERS] = "SELECT n FROM attempt WHERE job=?1 ORDER BY n",
	[SQL_ATTEMPTS_DROP] = "DELETE FROM attempt WHERE job=?1",
	[SQL_JOB_DROP] = "DELETE FROM job WHERE id=?1",
	[SQL_BODY_BYTES] = "SELECT length(data) FROM body WHERE delivery=?1",
	[SQL_BODY_DROP] = "DELETE FROM body WHERE delivery=?1",
	[SQL_FACET_DROP] = "DELETE FROM facet WHERE delivery=?1",
	[SQL_RULESET_LEAVE] =
		"UPDATE ruleset SET deliveries=deliveries-1 WHERE sha=(SELECT ruleset FROM delivery WHERE id=?1)",
	[SQL_RULESET_DROP] = "DELETE FROM ruleset WHERE deliveries=0 AND sha=(SELECT ruleset FROM delivery WHERE id=?1)",
	[SQL_DELIVERY_DROP] = "DELETE FROM delivery WHERE id=?1",
	[SQL_HAS_JOBS] = "SELECT 1 FROM job WHERE delivery=?1 UNION ALL SELECT 1 FROM merged WHERE delivery=?1 LIMIT 1",
	[SQL_HAS_OPEN_JOBS] =
		"SELECT 1 FROM job WHERE delivery=?1 AND state<=4 UNION ALL"
		" SELECT 1 FROM merged m JOIN job j ON j.id=m.job WHERE m.delivery=?1 AND j.state<=4 LIMIT 1",
	[SQL_IDLE_QUEUES] =
		"SELECT id, running=0 AND head IS NULL AND NOT EXISTS(SELECT 1 FROM debounce d WHERE d.queue=queue.id) FROM queue"
		" WHERE id>?1 ORDER BY id LIMIT ?2",
	[SQL_OLD_APPROVALS] = "SELECT id, queued_ms FROM job WHERE state=3 AND state<>5 AND id>?1 ORDER BY id LIMIT ?2",
	[SQL_ONCE_FORGET] =
		"DELETE FROM once WHERE (rule, key) IN (SELECT rule, key FROM once WHERE until_ms<=?1 LIMIT ?2)",
	[SQL_RESTING_SCHEDULE] =
		"SELECT id FROM schedule s WHERE is_armed=0 AND since_ms<?1 AND NOT EXISTS(SELECT 1 FROM instant WHERE schedule=s.id AND"
		" at_ms>=?1) LIMIT 1",
	[SQL_SCHEDULE_DROP] = "DELETE FROM schedule WHERE id=?1",
	[SQL_QUEUE_DROP] = "DELETE FROM queue WHERE id=?1",
};

const char *sql_text(enum sql which)
{
	assert(texts[which]);
	return texts[which];
}
