/* Field values: a table of numbers, types and what they count; some take a link as their scope. */
#include "simulated.h"

#include <stddef.h>

#define ALL_LINKS 0xFFFFFFFFU

/* What the agent reads from the bytes themselves. */
_Static_assert(sizeof(nvmlFieldValue_t) == 40, "size of nvmlFieldValue_t");
_Static_assert(offsetof(nvmlFieldValue_t, valueType) == 24, "place of the type");
_Static_assert(offsetof(nvmlFieldValue_t, nvmlReturn) == 28, "place of the return code");
_Static_assert(offsetof(nvmlFieldValue_t, value) == 32, "place of the value");
_Static_assert(sizeof(nvmlValue_t) == 8, "size of nvmlValue_t");

#define U32 NVML_VALUE_TYPE_UNSIGNED_INT
#define U64 NVML_VALUE_TYPE_UNSIGNED_LONG_LONG

enum scope { GPU, LINK, LINK_OR_ALL };

struct field {
    unsigned int number;
    nvmlValueType_t type;
    double base, per_device, per_second;
    enum scope scope;
};

static const struct field fields[] = {
    {NVML_FI_DEV_ECC_CURRENT, U32, 1, 0, 0, GPU},
    {NVML_FI_DEV_ECC_PENDING, U32, 1, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_VOL_L1, U64, 1, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_VOL_L1, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_VOL_L2, U64, 2, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_VOL_L2, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_VOL_DEV, U64, 3, 1, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_VOL_DEV, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_VOL_REG, U64, 4, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_VOL_REG, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_VOL_TEX, U64, 5, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_VOL_TEX, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_VOL_CBU, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_AGG_L1, U64, 11, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_AGG_L1, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_AGG_L2, U64, 12, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_AGG_L2, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_AGG_DEV, U64, 13, 1, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_AGG_DEV, U64, 1, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_AGG_REG, U64, 14, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_AGG_REG, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_SBE_AGG_TEX, U64, 15, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_AGG_TEX, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_ECC_DBE_AGG_CBU, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_RETIRED_SBE, U32, 2, 0, 0, GPU},
    {NVML_FI_DEV_RETIRED_DBE, U32, 1, 0, 0, GPU},
    {NVML_FI_DEV_RETIRED_PENDING, U32, 0, 0, 0, GPU},
    {NVML_FI_DEV_PERF_POLICY_POWER, U64, 40e9, 1e9, 5e8, GPU},
    {NVML_FI_DEV_PERF_POLICY_THERMAL, U64, 9e9, 0, 0, GPU},
    {NVML_FI_DEV_PERF_POLICY_SYNC_BOOST, U64, 0, 0, 0, GPU},
    {NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT, U64, 1e9, 0, 0, GPU},
    {NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION, U64, 7e12, 0, 0, GPU},
    {NVML_FI_DEV_PERF_POLICY_RELIABILITY, U64, 2e9, 0, 0, GPU},
    {NVML_FI_DEV_MEMORY_TEMP, U32, 60, 1, 0, GPU},
    {NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, U64, 2e9, 1e6, 3e5, GPU},
    {NVML_FI_DEV_NVLINK_LINK_COUNT, U32, 0, 0, 0, GPU}, /* the model's */
    {NVML_FI_DEV_PCIE_REPLAY_COUNTER, U32, 3, 0, 0, GPU},
    {NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, U64, 1000, 10, 1e6, LINK_OR_ALL},
    {NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, U64, 2000, 10, 1e6, LINK_OR_ALL},
    {NVML_FI_DEV_REMAPPED_COR, U32, 4, 0, 0, GPU},
    {NVML_FI_DEV_REMAPPED_UNC, U32, 1, 0, 0, GPU},
    {NVML_FI_DEV_REMAPPED_PENDING, U32, 0, 0, 0, GPU},
    {NVML_FI_DEV_REMAPPED_FAILURE, U32, 0, 0, 0, GPU},
    {NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY, U64, 1, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_ERROR_DL_CRC, U64, 2, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_GET_SPEED, U32, 26562, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_GET_STATE, U32, 1, 0, 0, LINK},
    {NVML_FI_DEV_POWER_AVERAGE, U32, 301000, 1000, 0, GPU},
    {NVML_FI_DEV_POWER_INSTANT, U32, 302000, 1000, 0, GPU},
    {NVML_FI_DEV_POWER_CURRENT_LIMIT, U32, 700000, 0, 0, GPU},
    {NVML_FI_DEV_PCIE_COUNT_TX_BYTES, U64, 5e9, 1e6, 1e9, GPU},
    {NVML_FI_DEV_PCIE_COUNT_RX_BYTES, U64, 6e9, 1e6, 2e9, GPU},
    {NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES, U64, 1e6, 1e3, 1e9, LINK_OR_ALL},
    {NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES, U64, 2e6, 1e3, 1e9, LINK_OR_ALL},
    {NVML_FI_DEV_NVLINK_COUNT_MALFORMED_PACKET_ERRORS, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS, U64, 1, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_XMIT_DISCARDS, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS, U64, 5, 0, 0, LINK},
    {NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS, U64, 0, 0, 0, LINK},
    {NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, U32, NVML_GPU_RECOVERY_ACTION_NONE, 0, 0, GPU},
    {NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, U64, 3e9, 0, 0, GPU},
    {NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, U64, 4e9, 0, 0, GPU},
    {NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, U64, 5e9, 0, 0, GPU},
};

static void set_value(nvmlValue_t *value, nvmlValueType_t type, double number)
{
    memset(value, 0xA5, sizeof *value); /* what is not set is not to be believed */
    switch (type) {
    case NVML_VALUE_TYPE_DOUBLE: value->dVal = number; break;
    case NVML_VALUE_TYPE_UNSIGNED_INT: value->uiVal = u32(number); break;
    case NVML_VALUE_TYPE_UNSIGNED_LONG: value->ulVal = (unsigned long)u64(number); break;
    case NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: value->ullVal = u64(number); break;
    case NVML_VALUE_TYPE_SIGNED_LONG_LONG: value->sllVal = (signed long long)u64(number); break;
    case NVML_VALUE_TYPE_SIGNED_INT: value->siVal = (int)u32(number); break;
    case NVML_VALUE_TYPE_UNSIGNED_SHORT: value->usVal = (unsigned short)u32(number); break;
    default: break;
    }
}

static const struct field *find(unsigned int number)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].number == number)
            return &fields[i];
    return NULL;
}

/* A rule for `field:NUMBER@LINK` goes before one for `field:NUMBER`, which goes before one for all. */
static nvmlReturn_t enter_field(int device, const nvmlFieldValue_t *asked, const struct rule **rule)
{
    const struct control *control = control_now();
    char name[40];
    snprintf(name, sizeof name, "field:%u", asked->fieldId);
    nvmlReturn_t entered = enter(name, device, rule);
    if (!control->rules)
        return entered;
    snprintf(name, sizeof name, "field:%u@%d", asked->fieldId, (int)asked->scopeId);
    const struct rule *scoped = control_rule(control, name, device);
    if (!scoped || strcmp(scoped->function, "*") == 0)
        return entered;
    *rule = scoped;
    return scoped->has_code ? (nvmlReturn_t)scoped->code : NVML_SUCCESS;
}

static double number_of(const struct field *field, int device, unsigned int scope)
{
    const struct model *model = model_of(device);
    double one = field->base + field->per_device * device + field->per_second * control_now()->elapsed;
    if (field->number == NVML_FI_DEV_NVLINK_LINK_COUNT)
        return model->links;
    return field->scope == LINK_OR_ALL && scope == ALL_LINKS ? one * model->links : one;
}

static void answer_field(int device, nvmlFieldValue_t *asked)
{
    const struct rule *rule;
    const struct field *field = find(asked->fieldId);
    memset(&asked->value, 0xA5, sizeof asked->value);
    asked->valueType = (nvmlValueType_t)0xA5;
    asked->nvmlReturn = enter_field(device, asked, &rule);
    if (asked->nvmlReturn != NVML_SUCCESS)
        return;
    bool told = rule && rule->has_value;
    if (!field && !told)
        asked->nvmlReturn = NVML_ERROR_INVALID_ARGUMENT;
    else if (field && field->scope != GPU && (int)asked->scopeId >= model_of(device)->links)
        asked->nvmlReturn = NVML_ERROR_INVALID_ARGUMENT;
    else if (field && field->scope == LINK && asked->scopeId == ALL_LINKS)
        asked->nvmlReturn = NVML_ERROR_INVALID_ARGUMENT;
    if (asked->nvmlReturn != NVML_SUCCESS)
        return;
    double number = field ? number_of(field, device, asked->scopeId) : 0;
    asked->valueType = told ? (nvmlValueType_t)rule->type : field->type;
    if (rule && rule->garbage)
        asked->valueType = (nvmlValueType_t)(u32(rule_number(rule, 0)) % 12);
    set_value(&asked->value, asked->valueType, rule_number(rule, number));
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    ENTER("nvmlDeviceGetFieldValues", index_of(device))
    for (int i = 0; i < count; i++)
        answer_field(index_of(device), &values[i]);
    return NVML_SUCCESS;
}
