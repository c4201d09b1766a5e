---@meta
-- The words of pushrod's rule files, for the Lua language server. `pushrod init --types` makes this file anew.

---@class pushrod.Secret
---@class pushrod.Null
---JSON's null.
---@type pushrod.Null
null = {}
---A secret's value, by its name.
---@param name string
---@return pushrod.Secret
function secret(name) end

---@alias pushrod.Scalar string|number|boolean|pushrod.Null

---@class pushrod.Operators
---@field [integer] pushrod.Scalar one of these
---@field except? pushrod.Scalar|pushrod.Scalar[] and none of these
---@field eq? pushrod.Scalar|pushrod.Scalar[] equal, with no wildcard
---@field ne? pushrod.Scalar|pushrod.Scalar[] not equal; of a field that is a list: none of its values is
---@field has? pushrod.Scalar|pushrod.Scalar[] holds this text
---@field starts? pushrod.Scalar|pushrod.Scalar[] begins with this text
---@field ends? pushrod.Scalar|pushrod.Scalar[] ends in this text
---@field re? pushrod.Scalar|pushrod.Scalar[] a regular expression (PCRE2) finds something in it
---@field lt? any less than
---@field le? any at most
---@field gt? any more than
---@field ge? any at least
---@field exists? boolean true: is there, even if null; false: is not
---@field some? any an element of the list passes these tests
---@field every? any all elements of the list do, and there is one
---@field icase? pushrod.Scalar|pushrod.Scalar[] as a plain string, and the case of A to Z is all one
---@field cidr? pushrod.Scalar|pushrod.Scalar[] an IP address within this network

---@alias pushrod.Test pushrod.Scalar|pushrod.Scalar[]|pushrod.Operators

---@class pushrod.when
---@field payload? table<string, pushrod.Test> the sender's own JSON, by paths: a.b, a[0].b, a[].b, a["x.y"]
---@field header? table<string, pushrod.Test> headers of the delivery, but for those that may hold a secret; the case of a name is all one
---@field query? table<string, pushrod.Test> what stands behind the ? of the address; a name that comes again is a list
---@field any? pushrod.when[] one of these tables holds
---@field all? pushrod.when[] each of these tables holds: for two tests of one field
---@field none? pushrod.when[] none of these tables holds
---@field source? pushrod.Test the name of the source, as pushrod.lua declares it
---@field provider? pushrod.Test the source's provider
---@field event? pushrod.Test the common name, or the sender's own where there is none
---@field action? pushrod.Test what follows the event's dot
---@field delivery? pushrod.Test the sender's id of the delivery
---@field received? pushrod.Test when it came, in UTC to the second, "2026-12-01T06:00:00Z"; the beginning of a time compares
---@field rule? pushrod.Test on events of `job:`, `rule:` and `local:`: the rule whose job caused them
---@field repo? pushrod.Test the repository, with its owner
---@field owner? pushrod.Test whose repository it is
---@field branch? pushrod.Test the branch that was pushed (a pull request has `base` and `head`)
---@field tag? pushrod.Test the tag
---@field ref? pushrod.Test the full ref, on every event of a forge
---@field base? pushrod.Test the branch that a pull request is to go into
---@field head? pushrod.Test the branch that a pull request comes from
---@field before? pushrod.Test the commit that was there before
---@field sha? pushrod.Test the commit
---@field number? pushrod.Test of the issue or the request
---@field title? pushrod.Test the first line of the commit's message, or the title of the request, issue or release
---@field message? pushrod.Test the whole message, or the text of the request, issue, comment or release
---@field author? pushrod.Test who wrote the commit, request, issue, comment or release
---@field sender? pushrod.Test who caused the event
---@field draft? pushrod.Test the request or the release is a draft
---@field fork? pushrod.Test the request comes from another repository
---@field labels? pushrod.Test of the request or issue: a test means any of them
---@field paths? pushrod.Test the files that the push changed: one must match, and no `except`
---@field created? pushrod.Test the push made the branch or tag
---@field deleted? pushrod.Test the branch or tag is gone
---@field forced? pushrod.Test the push rewrote history
---@field url? pushrod.Test a page for people
---@field payment? pushrod.Test the payment's id
---@field order? pushrod.Test what it pays for
---@field amount? pushrod.Test in the currency's smallest unit
---@field currency? pushrod.Test in lower case
---@field customer? pushrod.Test the customer's id
---@field live? pushrod.Test real money; false: a test

---@alias pushrod.EventName string
---| "push" # a branch got a commit (and still has one: a deleted branch is `delete`)
---| "tag" # a tag was made or moved
---| "delete" # a branch or a tag was deleted
---| "pull_request" # a pull or merge request: opened, synchronize (new commits), closed, merged, labeled, …
---| "issue" # an issue: opened, closed, labeled, …
---| "comment" # a comment on an issue, a request or a commit: created, edited, deleted
---| "release" # a release: published, created, …
---| "payment" # a payment: succeeded, failed, refunded, disputed
---| "ping" # the sender tries whether it reaches us

---@class pushrod.config
---@field url? string how the world reaches this server: the beginning of links
---@field listen? string|(string|pushrod.config.listen)[] where to listen
---@field proxies? (string)[] the proxies in front of this server: of what comes from them, X-Forwarded-For says whose it is; nobody else's is believed
---@field jobs? pushrod.config.jobs bounds of all jobs
---@field keep? pushrod.config.keep what is kept, and how long

---@class pushrod.config.listen
---@field [1] string address and port
---@field serve? ("hooks"|"pages"|"topics")[] what is served here; hooks and pages unless said

---@class pushrod.config.jobs
---@field max? integer jobs that run at one time
---@field timeout? string for a job whose rule says nothing else
---@field memory? string of each step
---@field processes? integer of one job at one time; more, and its step is killed
---@field log? string the most that one attempt may log
---@field roots? (string)[] folders below which jobs may publish
---@field file_urls? boolean allow checkout from repositories on this machine

---@class pushrod.config.keep
---@field deliveries? string how long a delivery stays listed; longer, without its body, while a job of it is
---@field bodies? string how much of their bodies is kept: past it the oldest go, save those that an open job needs
---@field jobs? string how long a finished job and its log stay
---@field failed_workspaces? string how long the workspace of a failed job stays to be looked at; it goes at the end of the next job after that. All others go with their job

---@class pushrod.source
---@field provider? string who sends, and so how it is verified and read
---@field secret? pushrod.Secret|pushrod.source.secret|(pushrod.Secret|pushrod.source.secret)[] what its signatures are made with; several while one replaces another
---@field auth? "none" "none": anybody may send; written out, as it is never what one wants by accident
---@field allow? (string)[] the addresses that may send, besides what proves the sender; all others get 403. Behind a proxy, see config.proxies
---@field path? string where it is posted to; /hooks/NAME unless said
---@field reply? "terse" "terse": tell the sender nothing about rules and jobs

---@class pushrod.source.secret
---@field [1] pushrod.Secret a secret
---@field not_after? string the last day on which it is good

---@class pushrod.queue
---@field limit? integer how many of its jobs run at one time; 1 unless said
---@field busy? "wait"|"latest"|"cancel"|"skip" what becomes of one more job: "wait" (unless said): all wait, in the order of arrival; "latest": only the newest waits; "cancel": likewise, and what runs is cancelled for it; "skip": it ends skipped
---@field debounce? string a job waits this long for a further push of the same repository and ref, which then becomes one job with it, up to 500 of them, or 8 MiB
---@field max_wait? string the most of that from the first push on; ten times debounce unless said, and never less than it

---@class pushrod.rule
---@field on? pushrod.EventName|(pushrod.EventName)[] the events it listens to; a rule has this, or cron, or both
---@field when? "always"|pushrod.when|pushrod.when[] what must hold of them; "always" for all of them; to be written wherever on is
---@field cron? string|(string)[]|pushrod.rule.cron when it fires by itself, whatever when says; at most once for each moment
---@field unknown? "skip" "skip": do not fire on what the payload cannot tell; without it the rule fires, and says so
---@field enabled? boolean false: the rule is checked, listed and explained, and never fires
---@field matrix? table<string, any>[]|table<string, (string|number|boolean)[]> one job for each cell: a list of cells, each perhaps with a `when`, or a product of values
---@field paths_from? "git" "git": which files changed is found out when the job starts, before its checkout, of a new branch, a force push, a tag or a pull request too; `paths` is decided by them, and they are in job.event.paths and in {paths} of `env`; where git cannot tell, they are unknown
---@field once? pushrod.rule.once a second event with the same key ends skipped, naming the first one's job, however that ended, unless its queue kept it from running; each cell of a matrix by itself
---@field queue? pushrod.rule.queue|string which of its jobs wait for which: by a key, or with other rules in a queue that pushrod.lua declares; without it, one job of each cell runs at a time
---@field forks? "approve"|"limited"|"trust"|"ignore" a request from a fork, or from nobody knows where, waits for an approval unless said; "limited": runs without secrets, and only where its steps are confined; "trust": as any other; "ignore": not at all
---@field timeout? string the most that a job may take
---@field env? table<string, string> environment of all steps; {field} is the event's
---@field secrets? (string)[] names of the secrets that its jobs may read
---@field checkout? boolean check out the event's commit before the steps
---@field steps? (pushrod.rule.steps)[] what is done, one after the other
---@field filter? fun(event: pushrod.Event): boolean, string? a last test in Lua, when the job starts: false, and why, end it as skipped; it has the event and 50 million instructions
---@field run? fun(job: pushrod.Job) what is done, as a Lua function

---@class pushrod.rule.cron
---@field [integer] string minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly
---@field zone? string the time zone whose clock it follows; UTC unless said
---@field missed? "once"|"skip"|"all" what was due while the server was down: "once" (the last of it, unless said), "skip", or "all" (the newest 100)
---@field jitter? string fire later by up to this much, always the same for one rule and moment

---@class pushrod.rule.once
---@field key string what is to be met only once; {field} is the event's
---@field within string how long the first one is remembered

---@class pushrod.rule.queue
---@field key? string jobs with the same key (and the same cell of a matrix) are in each other's way; {field} is the event's; without it, all jobs of the rule
---@field limit? integer how many of its jobs run at one time; 1 unless said
---@field busy? "wait"|"latest"|"cancel"|"skip" what becomes of one more job: "wait" (unless said): all wait, in the order of arrival; "latest": only the newest waits; "cancel": likewise, and what runs is cancelled for it; "skip": it ends skipped
---@field debounce? string a job waits this long for a further push of the same repository and ref, which then becomes one job with it, up to 500 of them, or 8 MiB
---@field max_wait? string the most of that from the first push on; ten times debounce unless said, and never less than it

---@class pushrod.rule.steps
---@field [1] string|nil its name in the log
---@field sh? string a script for sh -e
---@field exec? (string)[] a program and its arguments, as they are
---@field timeout? string for this step alone
---@field env? table<string, string> environment of this step alone; {field} is the event's
---@field cwd? string the folder it runs in
---@field allow_failure? boolean go on when it fails

---@class pushrod.Result
---@field code integer the exit code
---@field secs number how long it took
---@field out? string what it printed, with capture = true
---@field timed_out? boolean

---@class pushrod.Release
---@field rollback fun(self: pushrod.Release) the release before it is shown again

---@class pushrod.Event
---@field native string the sender's own name of the event
---@field source string the name of the source, as pushrod.lua declares it
---@field provider string the source's provider
---@field event string the common name, or the sender's own where there is none
---@field action string what follows the event's dot
---@field delivery string the sender's id of the delivery
---@field received string when it came, in UTC to the second, "2026-12-01T06:00:00Z"; the beginning of a time compares
---@field rule string on events of `job:`, `rule:` and `local:`: the rule whose job caused them
---@field repo? string the repository, with its owner
---@field owner? string whose repository it is
---@field branch? string the branch that was pushed (a pull request has `base` and `head`)
---@field tag? string the tag
---@field ref? string the full ref, on every event of a forge
---@field base? string the branch that a pull request is to go into
---@field head? string the branch that a pull request comes from
---@field before? string the commit that was there before
---@field sha? string the commit
---@field number? integer of the issue or the request
---@field title? string the first line of the commit's message, or the title of the request, issue or release
---@field message? string the whole message, or the text of the request, issue, comment or release
---@field author? string who wrote the commit, request, issue, comment or release
---@field sender? string who caused the event
---@field draft? boolean the request or the release is a draft
---@field fork? boolean the request comes from another repository
---@field labels? string[] of the request or issue: a test means any of them
---@field paths? string[] the files that the push changed: one must match, and no `except`
---@field created? boolean the push made the branch or tag
---@field deleted? boolean the branch or tag is gone
---@field forced? boolean the push rewrote history
---@field url? string a page for people
---@field payment? string the payment's id
---@field order? string what it pays for
---@field amount? integer in the currency's smallest unit
---@field currency? string in lower case
---@field customer? string the customer's id
---@field live? boolean real money; false: a test

---@class pushrod.job.checkout
---@field url? string another repository than the event's
---@field ref? string another branch, tag or commit
---@field into? string a folder of that name in the workspace, instead of job.tree
---@field timeout? string "10m" unless said

---@class pushrod.job.sh
---@field cwd? string the folder it runs in; the checkout, else the workspace, unless said
---@field env? table<string, string> variables of this command alone
---@field timeout? string "5m": then it is ended, and the call fails
---@field stdin? string what it reads
---@field capture? boolean true: the result has `out`, what it printed, 1 MiB at most
---@field allow_failure? boolean true: an exit code other than 0 is a result and no error
---@field shell? "sh"|"bash" bash adds pipefail

---@class pushrod.job.exec
---@field [integer] string the program and its arguments
---@field cwd? string the folder it runs in; the checkout, else the workspace, unless said
---@field env? table<string, string> variables of this command alone
---@field timeout? string "5m": then it is ended, and the call fails
---@field stdin? string what it reads
---@field capture? boolean true: the result has `out`, what it printed, 1 MiB at most
---@field allow_failure? boolean true: an exit code other than 0 is a result and no error

---@class pushrod.job.step
---@field allow_failure? boolean true: the job goes on when the step fails

---@class pushrod.job.publish
---@field keep? integer how many old releases stay, 5 unless said

---@class pushrod.Job
---@field event pushrod.Event the event's fields, as `when` knows them; one that is missing is nil, a name that is none raises
---@field payload table the sender's JSON; a null member is nil
---@field headers table<string, string> of the delivery's request
---@field cause table? where a job caused the event (`job:`, `rule:`, `local:`): its rule, job, delivery, state, outputs, depth, event
---@field batch table[] the deliveries that it runs for, oldest first, each as `event` with its `id`. They are several where a queue merged pushes: `event` is then the newest, with the `before` of the first and the `paths` of all
---@field matrix table<string, string|number|boolean>? the values of this job's cell, where the rule has a matrix
---@field replay { delivery: integer }? where the delivery is a replay: the one that came first, also for a replay of a replay. (job.replay or job).delivery is the same number however often it is run
---@field rule string the rule's name
---@field id integer the job's number
---@field attempt integer 1, 2, …
---@field url string the job's page
---@field delivery integer the delivery's number
---@field tree string? the checkout, once there is one
---@field workspace string the job's own folder
local Job = {}

---The event's commit, from a local mirror, in a folder whose path is returned and kept in job.tree. SSL_CERT_FILE or SSL_CERT_DIR of the server's environment names the authorities that https trusts instead of the system's.
---@param options? pushrod.job.checkout
---@return string
function Job:checkout(options) end

---A script for `sh -e`. What comes from an event goes in by `env`, never by joining texts.
---@param script string
---@param options? pushrod.job.sh
---@return pushrod.Result
function Job:sh(script, options) end

---A program and its arguments, as they are: no shell reads them.
---@param options pushrod.job.exec
---@return pushrod.Result
function Job:exec(options) end

---What happens in the function is one step of the log. Returns what it returns.
---@param name string
---@param options? pushrod.job.step
---@param fn fun(): any
---@return any
function Job:step(name, options, fn) end

---A copy of the folder becomes what DEST shows, at once; DEST lies below one of config.jobs.roots, or in the site.
---@param dir string
---@param dest string
---@param options? pushrod.job.publish
---@return pushrod.Release
function Job:publish(dir, dest, options) end

---A value of the payload by its path; the default where it is missing or null.
---@param path string
---@param default? any
---@return any
function Job:get(path, default) end

---A line of the log.
---@param text any with further arguments a format, as string.format has it
---@param ... any
function Job:log(text, ...) end

---A line that stands out.
---@param text any
---@param ... any
function Job:notice(text, ...) end

---A line that stands out as a warning.
---@param text any
---@param ... any
function Job:warn(text, ...) end

---How far it is; watchers see the newest.
---@param done number
---@param total? number
---@param unit? string
function Job:progress(done, total, unit) end

---The value of a secret that the rule names in `secrets`. In the log it is masked.
---@param name string
---@return string
function Job:secret(name) end

---A new, empty folder, gone after the job.
---@return string
function Job:tmp() end

---Runs when the job ends, however it ends; the last one first; 30 seconds for all.
---@param fn fun()
function Job:defer(fn) end

---A value that stays with the job: rules that it causes find it in job.cause.outputs. At most 32.
---@param name string
---@param value any what JSON has a form for; 8 KiB at most
function Job:output(name, value) end

---An event for rules with on = "local:NAME". It happens when the job ends, however that is, and once. At most 16.
---@param name string
---@param data? table becomes the payload; 16 KiB at most
function Job:emit(name, data) end

---Ends the job as failed; pcall does not stop it.
---@param why? string
function Job:fail(why) end

---Ends the job as skipped: there was nothing to do.
---@param why? string
function Job:skip(why) end

---Ends the job as cancelled.
---@param why? string
function Job:cancel(why) end

---settings of the whole server
---@param what pushrod.config
function config(what) end

---somebody who sends webhooks
---@param name string
---@return fun(what: pushrod.source)
function source(name) end

---where jobs of several rules wait for each other; a rule writes queue = "production"
---@param name string
---@return fun(what: pushrod.queue)
function queue(name) end

---which events cause which work
---@param name string
---@return fun(what: pushrod.rule)
function rule(name) end

return nil
