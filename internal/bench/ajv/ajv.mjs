// Measures what AJV needs of the processor to parse a message and check it.
// Each line that comes is {schema, message, ms}; the answer is the nanoseconds
// of one check, or "error" and why.
import { createInterface } from 'node:readline'
import Ajv from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const compiled = new Map()

function validator(schema) {
  if (!compiled.has(schema)) {
    const ajv = new Ajv({ strict: false })
    addFormats(ajv)
    compiled.set(schema, ajv.compile(JSON.parse(schema)))
  }
  return compiled.get(schema)
}

function nanoseconds({ schema, message, ms }) {
  const validate = validator(schema)
  if (!validate(JSON.parse(message))) throw new Error('AJV refuses a message that passes')
  const once = (budget) => {
    const began = process.cpuUsage()
    for (let n = 0; ;) {
      for (let i = 0; i < 100; i++) validate(JSON.parse(message))
      n += 100
      const { user, system } = process.cpuUsage(began)
      if (user + system >= budget * 1000) return ((user + system) * 1000) / n
    }
  }
  once(ms) // warm
  return once(ms)
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(nanoseconds(JSON.parse(line)))
  } catch (e) {
    console.log('error', String(e.message).replaceAll('\n', ' '))
  }
}
