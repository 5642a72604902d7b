/* What the simulated driver is told to be: a small text file, read again and again.
 *
 * The environment variable SIMULATED_NVML names the file; without it there are 8 healthy GPUs. It is
 * read again every 5 ms at most, so it can be replaced (by renaming: never half a file) at any time. One
 * directive a line, words apart by blanks, `#` begins a comment. DEVICE is an index or `*`.
 *
 *   devices N                       how many GPUs are listed
 *   init CODE                       what nvmlInit returns
 *   driver TEXT | cuda NUMBER       versions
 *   generation N                    another number: the driver was reloaded, everything is uninitialized
 *   lost DEVICE                     off the bus: every call for it returns NVML_ERROR_GPU_IS_LOST
 *   latency MICROSECONDS [FIELD]    how long every call sleeps, a batch of fields as much as one value
 *                                   and FIELD more for each of them and for each metric of the profiler
 *   work MICROSECONDS [FIELD]       the same, but it is processor time that is used up
 *   model WORD DEVICE               h100 (the default), b200, t4, or everything: see models.c
 *   elapsed SECONDS                 how far the counters of the fields have run; `clock`: as far as time
 *                                   has, and power, utilization and temperature move as well
 *   sampling HERTZ                  the driver samples power and utilization by itself (see samples.c)
 *   log 1                           calls are noted, for nvmlSimulatedLog (see calls.c)
 *   process DEVICE compute|graphics PID BYTES [NAME]      BYTES -1: not available
 *   xid DEVICE CODE [TYPE]          an event; each line is delivered once, if added after nvmlInit.
 *                                   TYPE: nvmlEventType*, XIDs if left out
 *   rule FUNCTION DEVICE error CODE
 *   rule FUNCTION DEVICE hang MILLISECONDS
 *   rule FUNCTION DEVICE latency MICROSECONDS
 *   rule FUNCTION DEVICE work MICROSECONDS
 *   rule FUNCTION DEVICE garbage 1                        numbers, types and texts at random
 *   rule FUNCTION DEVICE value NUMBER [TYPE]              TYPE: nvmlValueType_t, for field values
 *   rule FUNCTION DEVICE text WORD                        for functions that return text; \xNN is a byte
 *
 * FUNCTION is the exported name without its `_vN`, `FUNCTION:CHOICE` for one choice of a call that has
 * some (an ECC location, a clock, a fan), `field:NUMBER` or `field:NUMBER@LINK` for one field of a batch,
 * `gpm:NUMBER` for one metric of the profiler, or `*` for every call that takes a device.
 */
#ifndef SIMULATED_NVML_CONTROL_H
#define SIMULATED_NVML_CONTROL_H

#include <stdbool.h>

#define MAX_DEVICES 64
#define MAX_RULES 256
#define MAX_PROCESSES 1024
#define MAX_XIDS 4096
#define ANY_DEVICE (-1)

struct rule {
    char function[64];
    int device;
    bool has_code, has_value, has_text, garbage;
    int code;
    long hang_ms, latency_us, work_us;
    double value;
    int type;
    char text[128];
};

struct process {
    int device;
    bool graphics;
    unsigned int pid;
    long long bytes;
    char name[128];
};

struct xid {
    int device;
    unsigned long long code, type;
};

struct control {
    int devices, init_code, cuda;
    long generation, latency_us, field_latency_us, work_us, field_work_us;
    double elapsed;
    bool moving;
    int sampling;
    bool log;
    char model[MAX_DEVICES][16];
    char driver[80];
    bool lost[MAX_DEVICES];
    int rules, processes, xids;
    struct rule rule[MAX_RULES];
    struct process process[MAX_PROCESSES];
    struct xid xid[MAX_XIDS];
};

/* The directives as they stand now; never NULL. */
const struct control *control_now(void);

/* The last rule for the function and the device that is about codes, hangs, values or text; or NULL. */
const struct rule *control_rule(const struct control *control, const char *function, int device);

/* Whether the library is initialized, and the driver still the same. */
bool control_alive(void);

void control_sleep_us(long microseconds);

/* Uses up processor time of this thread. */
void control_work_us(long microseconds);

/* 0 where nothing moves, else a number from 0 to `most` that changes with each second. */
int control_wobble(int device, int most);

#endif
