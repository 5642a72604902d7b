#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READ_EVERY_NS 5000000L

static struct control current;

static long long monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int device_of(const char *word)
{
    return strcmp(word, "*") == 0 ? ANY_DEVICE : atoi(word);
}

static void unescape(char *to, size_t size, const char *from)
{
    size_t length = 0;
    while (*from && length + 1 < size) {
        unsigned int byte;
        if (sscanf(from, "\\x%2x", &byte) == 1) {
            to[length++] = (char)byte;
            from += 4;
        } else {
            to[length++] = *from++;
        }
    }
    to[length] = '\0';
}

static void read_rule(char *rest)
{
    char function[64], device[16], what[16], word[128], type[16] = "1";
    struct rule *rule = &current.rule[current.rules];
    if (current.rules == MAX_RULES ||
        sscanf(rest, "%63s %15s %15s %127s %15s", function, device, what, word, type) < 4)
        return;
    memset(rule, 0, sizeof *rule);
    strcpy(rule->function, function);
    rule->device = device_of(device);
    if (strcmp(what, "error") == 0) {
        rule->has_code = true;
        rule->code = atoi(word);
    } else if (strcmp(what, "hang") == 0) {
        rule->hang_ms = atol(word);
    } else if (strcmp(what, "latency") == 0) {
        rule->latency_us = atol(word);
    } else if (strcmp(what, "work") == 0) {
        rule->work_us = atol(word);
    } else if (strcmp(what, "garbage") == 0) {
        rule->garbage = true;
    } else if (strcmp(what, "value") == 0) {
        rule->has_value = true;
        rule->value = strtod(word, NULL);
        rule->type = atoi(type);
    } else if (strcmp(what, "text") == 0) {
        rule->has_text = true;
        unescape(rule->text, sizeof rule->text, word);
    } else {
        return;
    }
    current.rules++;
}

static void read_model(const char *rest)
{
    char word[16], device[16];
    if (sscanf(rest, "%15s %15s", word, device) < 2)
        return;
    for (int i = 0; i < MAX_DEVICES; i++)
        if (device_of(device) == ANY_DEVICE || device_of(device) == i)
            strcpy(current.model[i], word);
}

static void read_process(char *rest)
{
    char kind[16];
    struct process *process = &current.process[current.processes];
    memset(process, 0, sizeof *process);
    if (current.processes < MAX_PROCESSES &&
        sscanf(rest, "%d %15s %u %lld %127[^\n]", &process->device, kind, &process->pid,
               &process->bytes, process->name) >= 4) {
        process->graphics = strcmp(kind, "graphics") == 0;
        current.processes++;
    }
}

static void read_line(char *line)
{
    char word[32];
    int used = 0;
    line[strcspn(line, "#")] = '\0';
    if (sscanf(line, "%31s %n", word, &used) < 1)
        return;
    char *rest = line + used;
    if (strcmp(word, "devices") == 0)
        current.devices = atoi(rest) < MAX_DEVICES ? atoi(rest) : MAX_DEVICES;
    else if (strcmp(word, "init") == 0)
        current.init_code = atoi(rest);
    else if (strcmp(word, "driver") == 0)
        sscanf(rest, "%79s", current.driver);
    else if (strcmp(word, "cuda") == 0)
        current.cuda = atoi(rest);
    else if (strcmp(word, "generation") == 0)
        current.generation = atol(rest);
    else if (strcmp(word, "latency") == 0)
        sscanf(rest, "%ld %ld", &current.latency_us, &current.field_latency_us);
    else if (strcmp(word, "work") == 0)
        sscanf(rest, "%ld %ld", &current.work_us, &current.field_work_us);
    else if (strcmp(word, "sampling") == 0)
        current.sampling = atoi(rest);
    else if (strcmp(word, "elapsed") == 0) {
        current.moving = strncmp(rest, "clock", 5) == 0;
        current.elapsed = current.moving ? 0 : strtod(rest, NULL);
    }
    else if (strcmp(word, "log") == 0)
        current.log = atoi(rest) != 0;
    else if (strcmp(word, "model") == 0)
        read_model(rest);
    else if (strcmp(word, "lost") == 0 && atoi(rest) >= 0 && atoi(rest) < MAX_DEVICES)
        current.lost[atoi(rest)] = true;
    else if (strcmp(word, "process") == 0)
        read_process(rest);
    else if (strcmp(word, "rule") == 0)
        read_rule(rest);
    else if (strcmp(word, "xid") == 0 && current.xids < MAX_XIDS) {
        struct xid *xid = &current.xid[current.xids];
        xid->type = 8; /* nvmlEventTypeXidCriticalError */
        current.xids += sscanf(rest, "%d %llu %lli", &xid->device, &xid->code, (long long *)&xid->type) >= 2;
    }
}

static void read_file(const char *path)
{
    char line[512];
    current.rules = current.processes = current.xids = 0;
    memset(current.lost, 0, sizeof current.lost);
    memset(current.model, 0, sizeof current.model);
    current.elapsed = 0;
    current.log = false;
    current.init_code = 0;
    current.generation = current.latency_us = current.field_latency_us = 0;
    current.work_us = current.field_work_us = 0;
    current.sampling = 0;
    current.moving = false;
    current.devices = 8;
    current.cuda = 12040;
    strcpy(current.driver, "550.54.15");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file)
        return;
    while (fgets(line, sizeof line, file))
        read_line(line);
    fclose(file);
}

const struct control *control_now(void)
{
    static long long read_ns;
    long long now = monotonic_ns();
    if (!read_ns || now - read_ns >= READ_EVERY_NS) {
        read_ns = now;
        read_file(getenv("SIMULATED_NVML"));
    }
    if (current.moving)
        current.elapsed = (double)now / 1e9;
    return &current;
}

const struct rule *control_rule(const struct control *control, const char *function, int device)
{
    for (int i = control->rules - 1; i >= 0; i--) {
        const struct rule *rule = &control->rule[i];
        if ((rule->device == ANY_DEVICE || rule->device == device) &&
            (strcmp(rule->function, function) == 0 ||
             (strcmp(rule->function, "*") == 0 && device >= 0)))
            return rule;
    }
    return NULL;
}

void control_sleep_us(long microseconds)
{
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

void control_work_us(long microseconds)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    long long until = now.tv_sec * 1000000000LL + now.tv_nsec + microseconds * 1000LL;
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while (now.tv_sec * 1000000000LL + now.tv_nsec < until);
}

int control_wobble(int device, int most)
{
    if (!current.moving)
        return 0;
    unsigned long long state = ((unsigned long long)current.elapsed + 1) * (unsigned int)(device + 7);
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int)(state >> 33) % (most + 1);
}
