// Sends one of each call with the unmodified library: node send.mjs <host> <write key> <user id>
import { Analytics } from '@segment/analytics-node'

const [host, writeKey, userId] = process.argv.slice(2)
const analytics = new Analytics({ host, writeKey, maxRetries: 0, flushAt: 3 })
const problems = []
analytics.on('error', (error) => problems.push(error.code))

const anonymousId = `${userId}-device`
analytics.track({ anonymousId, event: 'product_viewed', properties: { sku: 'a-1' } })
analytics.identify({ userId, anonymousId, traits: { email: `${userId}@example.com`, plan: 'gold' } })
analytics.page({ userId, name: 'Home', properties: { path: '/' } })
analytics.group({ userId, groupId: 'makers', traits: { size: 3 } })
analytics.alias({ userId, previousId: `${userId}-before` })
analytics.track({ userId, event: 'signed_up', timestamp: new Date('2026-01-02T03:04:05Z') })
await analytics.closeAndFlush()
if (problems.length) throw new Error(problems.join(' '))
